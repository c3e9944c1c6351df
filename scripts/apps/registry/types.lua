-- SPDX-License-Identifier: Apache-2.0
--
-- What a manifest is, read from its JSON: the layout does not store media types.
local gate = require "tidegate"

local INDEX = "application/vnd.oci.image.index.v1+json"
local IMAGE = "application/vnd.oci.image.manifest.v1+json"
local MEDIA_TYPE = "^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$"
local TYPE_MAX = 255
local CACHE_MAX = 4096 -- digests in each of two generations: well under a megabyte

local M = { INDEX = INDEX, UNKNOWN = "application/octet-stream" }

-- Is there something under a name? Go writes null for what is empty.
function M.is_there(value)
  return value ~= nil and value ~= gate.json.null
end

-- The media type of a decoded manifest, by what it says or by its shape; nil when it says nothing
-- and looks like nothing. One that is an image and an index at once is nothing: two
-- clients could take it for different things (CVE-2021-41190).
function M.of(doc)
  local is_image = M.is_there(doc.config) or M.is_there(doc.layers)
  local is_index = M.is_there(doc.manifests)
  if is_image and is_index then return nil end
  local said = doc.mediaType
  if M.is_there(said) then
    local fits = type(said) == "string" and #said <= TYPE_MAX and said:find(MEDIA_TYPE)
    return fits and said or nil
  end
  if is_index then return INDEX end
  return is_image and IMAGE or nil
end

-- A manifest never changes under its digest, so its type is remembered: in two generations, the
-- older of which is forgotten when the younger is full.
function M.cache()
  local young, old, n = {}, {}, 0
  local cache = {}

  function cache.get(digest)
    return young[digest] or old[digest]
  end

  function cache.put(digest, media_type)
    if n >= CACHE_MAX then
      old, young, n = young, {}, 0
    end
    young[digest], n = media_type, n + 1
  end

  return cache
end

-- The type of manifest bytes; what cannot be read as a manifest is served as it is.
function M.of_text(text)
  local doc = gate.try(gate.json.decode, text)
  return type(doc) == "table" and M.of(doc) or M.UNKNOWN
end

return M
