-- SPDX-License-Identifier: Apache-2.0
--
-- The form "records": what a tag names is a record, a JSON object from media types to digests, and
-- content belongs to a namespace. So one tag can name several manifests, of which a client gets the
-- one that it accepts, and nothing says which repository owns a blob: all repositories of the
-- namespace have all of it. A manifest that was pushed by digest has a record under that name.
--
-- Manifests are read as blobs are: a digest names what the namespace has, if it is a manifest,
-- whether this repository has a record of it or not. That is what the other registry does, and who
-- has pulled a tag goes on by digest when the tag has moved. What was deleted here leaves an empty
-- record, "{}", under its digest: the repository does not show it any more, unless a tag names it.
--
-- A record is changed by put_if over what was read, again and again until nobody came between, so
-- no media type is lost. The other registry writes over what it has read, however old.
--
-- forms/init.lua says what each function is for.
local gate = require "tidegate"
local names = require "apps.registry.names"
local tags = require "apps.registry.tags"
local types = require "apps.registry.types"

local RECORD_MAX = 64 * 1024 -- bytes
local MANIFEST_MAX = 4 * 1024 * 1024
local TRIES = 200 -- each time, somebody else has got his change through
local LOOKS, WAIT = 5, "10ms" -- at a damaged record: the other registry writes it in place
local TICK = 1e-6 -- seconds: no two writes of one key are as near

-- What a client gets that accepts several, or says nothing: lists first, as the other registry has
-- it. Then comes the client's own order.
local PREFERRED = {
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
}

local M = { algorithms = { sha256 = true }, varies = "Accept" }

-- The JSON object at a key and its version, "" of one that is absent. nil when it is absent or
-- damaged.
local function read_object(reg, key)
  local version
  for look = 1, LOOKS do
    local text, object = reg.store:read(key, RECORD_MAX)
    if not text then return nil, "" end
    local doc = gate.try(gate.json.decode, text)
    if type(doc) == "table" then return doc, object.etag end
    if look < LOOKS then gate.sleep(WAIT) end
    version = object.etag
  end
  gate.log.warn("damaged record", { key = key })
  return nil, version
end

-- The record at a key: media type -> digest; and its version, as above.
local function read(reg, key)
  local doc, version = read_object(reg, key)
  if not doc then return nil, version end
  local record = {}
  for media_type, digest in pairs(doc) do
    local is_one = type(media_type) == "string" and type(digest) == "string"
    if is_one and names.digest(digest) == "sha256" then record[media_type] = digest end
  end
  return record, version
end

M.read = read

-- As the other registry would write it.
local function encode(record)
  local lines = {}
  for media_type, digest in pairs(record) do
    lines[#lines + 1] = ("%s: %s"):format(gate.json.encode(media_type), gate.json.encode(digest))
  end
  table.sort(lines)
  return "{" .. table.concat(lines, ", ") .. "}"
end

-- Changes the record at a key by f(record), which returns false to leave it. Returns whether it was
-- changed, and the object that it is now.
local function change(reg, key, f)
  local e
  for _ = 1, TRIES do
    local record, version = read(reg, key)
    record = record or {}
    if f(record) == false then return false end
    local text = encode(record)
    if #text > RECORD_MAX then
      gate.fail(400, "MANIFEST_INVALID", "the tag names manifests of too many media types")
    end
    local object
    object, e = gate.try(reg.store.put_if, reg.store, key, text, version)
    if object then return true, object end
    if e.name ~= "EXISTS" then break end
  end
  error(e, 0)
end

-- The media types of an Accept header, among its parameters: a list, which is a set, too.
local function accepted(q)
  local list = {}
  for media_type in (q and q.headers.accept or ""):gmatch "[^,;%s]+" do
    list[#list + 1] = media_type
    list[media_type] = true
  end
  return list
end

-- The first of these media types that the record has, of those in the set if there is one.
local function first(record, list, set)
  for _, media_type in ipairs(list) do
    if record[media_type] and (not set or set[media_type]) then return media_type end
  end
  return nil
end

local function least(record)
  local found = next(record)
  for media_type in pairs(record) do
    if media_type < found then found = media_type end
  end
  return found
end

-- The digest and the media type that fit best; what nobody has asked for is better than nothing.
local function choose(record, q)
  local found = next(record)
  if not found then return nil end
  if next(record, found) then
    local list = accepted(q)
    found = first(record, PREFERRED, list) or first(record, list) or first(record, PREFERRED)
      or least(record)
  end
  return record[found], found
end

local function type_in(record, digest)
  for media_type, named in pairs(record) do
    if named == digest then return media_type end
  end
  return nil
end

-- The media type of content that is there and is a manifest; nil for all other.
local function type_of_content(reg, repo, digest)
  local key, known = reg.layout.blob(digest, repo), reg.types.get(digest)
  if known then return reg.store:stat(key) and known end
  local text, e = gate.try(reg.store.read, reg.store, key, MANIFEST_MAX)
  if not text and e and e.name ~= "TOO_LARGE" then error(e, 0) end
  local learnt = text and types.of_text(text)
  if not learnt or learnt == types.UNKNOWN then return nil end
  reg.types.put(digest, learnt)
  return learnt
end

function M.blob(_, _, digest)
  return names.digest(digest) == "sha256" and digest or nil
end

function M.own_blob() end

local function is_tagged(reg, repo, digest)
  local found = false
  tags.each_of(reg, repo, digest, digest, function() found = true end)
  return found
end

function M.manifest(reg, repo, digest)
  if names.digest(digest) ~= "sha256" then return nil end
  local record = read(reg, reg.layout.record(repo, digest))
  local media_type = record and type_in(record, digest) or type_of_content(reg, repo, digest)
  if not media_type then return nil end
  if record and not next(record) and not is_tagged(reg, repo, digest) then return nil end
  return digest, media_type
end

function M.own_manifest(reg, repo, digest, _, media_type, by_digest)
  if not by_digest then return M.keep_manifest(reg, repo, digest, digest, media_type) end
  media_type = media_type or type_of_content(reg, repo, digest)
  change(reg, reg.layout.record(repo, digest), function(record) record[media_type] = digest end)
end

-- One that was never deleted needs no record.
function M.keep_manifest(reg, repo, digest, _, media_type)
  local record = read(reg, reg.layout.record(repo, digest))
  local is_gone = record and not next(record)
  if is_gone then M.own_manifest(reg, repo, digest, digest, media_type, true) end
end

function M.disown_manifest(reg, repo, digest)
  reg.store:put(reg.layout.record(repo, digest), "{}")
end

function M.read_tag(reg, repo, tag, q)
  local record = read(reg, reg.layout.record(repo, tag))
  if not record then return nil end
  local digest, media_type = choose(record, q)
  return digest, digest, media_type
end

function M.tag_names(reg, repo, tag, _, target)
  local record = read(reg, reg.layout.record(repo, tag))
  if not record then return false end
  return type_in(record, target) ~= nil, (choose(record))
end

function M.set_tag(reg, repo, tag, _, target, media_type)
  change(reg, reg.layout.record(repo, tag), function(record)
    record[media_type] = target -- also what is there: its age counts for the other registry's prune
  end)
end

-- Another media type would be another manifest, too.
function M.set_tag_once(reg, repo, tag, _, target, media_type)
  local named
  change(reg, reg.layout.record(repo, tag), function(record)
    named = choose(record)
    if named then
      if type_in(record, target) then named = nil end
      return false
    end
    record[media_type] = target
  end)
  return named
end

function M.remove_tag(reg, repo, tag)
  return reg.store:remove(reg.layout.record(repo, tag))
end

-- An empty record says that the tag is gone, and then goes itself unless somebody has set the tag
-- meanwhile.
function M.untag(reg, repo, tag, target)
  local key, is_empty = reg.layout.record(repo, tag), nil
  local changed, object = change(reg, key, function(record)
    local media_type = type_in(record, target)
    if not media_type then return false end
    repeat
      record[media_type] = nil
      media_type = type_in(record, target)
    until not media_type
    is_empty = not next(record)
  end)
  if changed and is_empty then reg.store:expire(key, object.modified + TICK) end
  return changed
end

function M.tag_of(entry, prefix)
  local name = not entry.prefix and entry.name:sub(#prefix + 1)
  return name and names.is_tag(name) and name or nil
end

function M.below(reg, repo)
  return reg.layout.below(repo)
end

function M.exists(reg, repo)
  return #reg.store:list(reg.layout.manifests(repo), { limit = 1 }) > 0
end

return M
