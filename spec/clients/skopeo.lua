-- SPDX-License-Identifier: Apache-2.0
--
-- skopeo: copies between a registry and an OCI layout folder; no daemon, no storage.
local image = require "spec.image"
local packer = require "spec.clients.packer"
local tool = require "spec.tool"

local M = {
  name = "skopeo", programs = { "skopeo" }, daily = true,
  missing = { resume = "skopeo 1.9 gives up when a blob is cut" },
}

local client = packer.new()

function M.start(at)
  return setmetatable({ folder = at.folder, certs = at.certs, n = 0 }, client)
end

-- The options of one end of a copy.
function client:options(side)
  local trust = self.certs and ("--%scert-dir=%s"):format(side, self.certs)
    or ("--%stls-verify=false"):format(side)
  return ("%s --%sauthfile=%s/auth.json"):format(trust, side, self.folder)
end

local function run(command, ...)
  return tool.must("timeout 60 skopeo " .. command:format(...))
end

function client:push_layout(ref, folder)
  run("copy --quiet --all %s oci:%s:v1 docker://%s", self:options("dest-"), folder, ref)
end

function client:pull_layout(ref, arch, folder)
  run("--override-arch %s copy --quiet %s docker://%s oci:%s:v1", arch, self:options("src-"), ref,
    folder)
end

function client:pull(ref, arch)
  local folder = self:fresh()
  self:pull_layout(ref, arch or "amd64", folder)
  return image.unpack(folder, arch)
end

function client:login(address, user, password)
  run("login %s --username %s --password %s %s", self:options(""), user, password, address)
end

function client.stop() end

return M
