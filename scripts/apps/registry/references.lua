-- SPDX-License-Identifier: Apache-2.0
--
-- What a manifest refers to. Pure: nothing is looked up.
local gate = require "tidegate"
local names = require "apps.registry.names"
local types = require "apps.registry.types"

local ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json" -- oras and notation pushed it

local M = {}

local function invalid(why, where)
  gate.fail(400, "MANIFEST_INVALID", why, { at = where })
end

-- A descriptor's digest, after the few checks that everything later relies on.
local function digest_of(d, where)
  if type(d) ~= "table" or type(d.digest) ~= "string" or not names.digest(d.digest) then
    invalid("not a descriptor", where)
  end
  return d.digest
end

-- The descriptors under a name, which may be absent or null.
local function list(doc, name)
  local value = doc[name]
  if not types.is_there(value) then return {} end
  local is_list = type(value) == "table" and (#value > 0 or next(value) == nil)
  if not is_list then invalid("not a list of descriptors", "/" .. name) end
  return value
end

-- Layers that say where else they can be had need not be here.
local function is_foreign(layer)
  return type(layer.urls) == "table" and #layer.urls > 0
end

-- The digests of the blobs without which a decoded manifest is not whole, each once: its config and
-- its layers, or what an artifact of before OCI 1.1 holds. MANIFEST_INVALID (400) for
-- what is malformed, in a list of manifests too.
function M.needed(doc)
  local needed, seen = {}, {}
  local function need(digest)
    if not seen[digest] then
      seen[digest] = true
      needed[#needed + 1] = digest
    end
  end
  for i, child in ipairs(list(doc, "manifests")) do
    digest_of(child, ("/manifests/%d"):format(i - 1))
  end
  if types.is_there(doc.config) then
    need(digest_of(doc.config, "/config"))
  end
  local holds = doc.mediaType == ARTIFACT and "blobs" or "layers"
  for i, layer in ipairs(list(doc, holds)) do
    local digest = digest_of(layer, ("/%s/%d"):format(holds, i - 1))
    if not is_foreign(layer) then need(digest) end
  end
  return needed
end

return M
