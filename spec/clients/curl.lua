-- SPDX-License-Identifier: Apache-2.0
--
-- curl, led by hand: what a shell script would do.
local image = require "spec.image"
local json = require "dkjson"
local packer = require "spec.clients.packer"
local tool = require "spec.tool"

local M = { name = "curl", programs = { "curl" }, daily = true, missing = {} }

local ACCEPT = "-H 'Accept: application/vnd.oci.image.index.v1+json, "
  .. "application/vnd.oci.image.manifest.v1+json, "
  .. "application/vnd.docker.distribution.manifest.v2+json, "
  .. "application/vnd.docker.distribution.manifest.list.v2+json'"

local client = packer.new()

function M.start(at)
  return setmetatable({
    folder = at.folder, n = 0, user = "",
    scheme = at.certs and "https" or "http",
    trust = at.certs and "--cacert " .. at.certs .. "/ca.crt" or "",
  }, client)
end

function client:run(command, ...)
  return tool.must(("curl -sS --fail-with-body --max-time 60 %s %s "):format(self.trust, self.user)
    .. command:format(...))
end

-- "host:port/repo:tag" -> the address of the repository, and the tag
function client:split(ref)
  local address, repo, tag = ref:match("^([^/]+)/(.+):([^:]+)$")
  return ("%s://%s/v2/%s"):format(self.scheme, address, repo), tag
end

function client:push_blob(base, folder, descriptor)
  local place = self:run("-X POST -i %s/blobs/uploads/", base):match("[Ll]ocation: ([^\r\n]+)")
  place = place:gsub("^/", base:match("^%w+://[^/]+") .. "/")
  local join = place:find("?", 1, true) and "&" or "?"
  self:run("-T %s/blobs/%s -H 'Content-Type: application/octet-stream' '%s%sdigest=%s'", folder,
    descriptor.digest:gsub(":", "/"), place, join, descriptor.digest)
end

-- What the descriptor names goes first, then itself: under the tag, or else its digest.
function client:push_tree(base, folder, descriptor, tag)
  local manifest = json.decode(image.blob(folder, descriptor.digest))
  for _, child in ipairs(manifest.manifests or {}) do self:push_tree(base, folder, child) end
  for _, layer in ipairs(manifest.layers or {}) do self:push_blob(base, folder, layer) end
  if manifest.config then self:push_blob(base, folder, manifest.config) end
  self:run("-T %s/blobs/%s -H 'Content-Type: %s' '%s/manifests/%s'", folder,
    descriptor.digest:gsub(":", "/"), descriptor.mediaType, base, tag or descriptor.digest)
end

function client:push_layout(ref, folder)
  local base, tag = self:split(ref)
  local index = json.decode(tool.read(folder .. "/index.json"))
  self:push_tree(base, folder, index.manifests[1], tag)
end

-- `-C -` asks for the rest of what is there already; a transfer that breaks is tried again.
function client:pull_blob(url, path)
  for _ = 1, 3 do
    local ok, out = pcall(self.run, self, "-L -C - -o %s %s", path, url)
    if ok then return end
    assert(out:find("curl: (18)", 1, true), out) -- a part of it only
  end
end

function client:pull(ref, arch)
  local base, tag = self:split(ref)
  local head = self:run("-I %s %s/manifests/%s", ACCEPT, base, tag)
  local digest = head:lower():match("docker%-content%-digest: (%S+)")
  local is_manifest = true -- until a layer comes
  return image.collect(self:fresh(), digest, arch or "amd64", function(blob, path)
    local ok = is_manifest
      and pcall(self.run, self, "%s -o %s %s/manifests/%s", ACCEPT, path, base, blob)
    is_manifest = ok
    if not ok then
      os.remove(path)
      self:pull_blob(base .. "/blobs/" .. blob, path)
    end
  end)
end

function client:login(_, user, password)
  self.user = ("--user %s:%s"):format(user, password)
end

function client.stop() end

return M
