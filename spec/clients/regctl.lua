-- SPDX-License-Identifier: Apache-2.0
--
-- regctl, and with it whatever is built on regclient: zot's sync, olareg's tools. It pushes large
-- blobs in pieces with Content-Range, which no other client does.
local image = require "spec.image"
local packer = require "spec.clients.packer"
local tool = require "spec.tool"

local PIECE = 500000 -- bytes

local M = {
  name = "regctl", programs = { "regctl" },
  missing = { reason = "regctl prints no reason that a registry gives" },
}

local client = packer.new()

function M.start(at)
  return setmetatable({ folder = at.folder, certs = at.certs, n = 0, known = {} }, client)
end

function client:run(command, ...)
  return tool.must(("REGCTL_CONFIG=%s/config.json timeout 60 regctl "):format(self.folder)
    .. command:format(...))
end

-- Says once how the registry of a reference is spoken to.
function client:know(ref)
  local address = ref:match("^[^/]+")
  if self.known[address] then return ref end
  self.known[address] = true
  local trust = "--tls disabled"
  if self.certs then trust = "--cacert " .. tool.quote(tool.read(self.certs .. "/ca.crt")) end
  self:run("registry set --skip-check --blob-chunk %d --blob-max %d %s %s", PIECE, PIECE, trust,
    address)
  return ref
end

function client:push_layout(ref, folder)
  self:run("image copy ocidir://%s:v1 %s", folder, self:know(ref))
end

function client:pull(ref, arch)
  local folder = self:fresh()
  self:run("image copy --platform linux/%s %s ocidir://%s:v1", arch or "amd64", self:know(ref),
    folder)
  return image.unpack(folder, arch)
end

function client:login(address, user, password)
  self:know(address)
  self:run("registry login --user %s --pass %s %s", user, password, address)
end

-- An artifact of this kind with the reference as its subject.
function client:attach(ref, kind, text)
  tool.write(self.folder .. "/artifact", text)
  self:run("artifact put --artifact-type %s --subject %s < %s/artifact", kind, self:know(ref),
    self.folder)
end

-- What it prints of the artifacts that have the reference as their subject.
function client:attached(ref, kind)
  return self:run("artifact list %s --filter-artifact-type %s", self:know(ref), kind)
end

-- A blob, in pieces when it is large; returns the digest that it prints.
function client:put_blob(repo, text, digest)
  tool.write(self.folder .. "/blob", text)
  return self:run("blob put --digest %s %s < %s/blob", digest, self:know(repo), self.folder)
end

function client:untag(ref)
  self:run("tag rm %s", self:know(ref))
end

function client.stop() end

return M
