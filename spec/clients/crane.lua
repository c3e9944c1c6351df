-- SPDX-License-Identifier: Apache-2.0
--
-- crane, and with it whatever is built on go-containerregistry: ko, kaniko, cosign.
local image = require "spec.image"
local packer = require "spec.clients.packer"
local tool = require "spec.tool"

local M = {
  name = "crane", programs = { "crane" },
  missing = { resume = "crane gives up when a blob is cut" },
}

local client = packer.new()

function M.start(at)
  return setmetatable({ folder = at.folder, certs = at.certs, n = 0 }, client)
end

-- On 127.0.0.1 it speaks plain HTTP where TLS is not answered.
function client:run(command, ...)
  local trust = self.certs and ("SSL_CERT_FILE=%s/ca.crt "):format(self.certs) or ""
  return tool.must(("DOCKER_CONFIG=%s %stimeout 60 crane "):format(self.folder, trust)
    .. command:format(...))
end

function client:push_layout(ref, folder)
  self:run("push %s %s", folder, ref)
end

function client:pull(ref, arch)
  local folder = self:fresh()
  self:run("pull --format=oci --platform linux/%s %s %s", arch or "amd64", ref, folder)
  return image.unpack(folder, arch)
end

function client:login(address, user, password)
  self:run("auth login --username %s --password %s %s", user, password, address)
end

function client.stop() end

return M
