-- SPDX-License-Identifier: Apache-2.0
--
-- Referrers: the manifests that name another one as their subject (signatures, bills of material,
-- attestations), listed per subject.
--
-- Each referrer has an entry of its own, which holds its descriptor. So two that are pushed at the
-- same moment, by any two gateways, never overwrite one another, and a list is read without opening
-- a manifest. An entry is written before the revision and counts only while the revision is there:
-- what a crash leaves is not seen. Where a push and a DELETE of the same manifest meet, each looks
-- once more after its last step and mends what the other took away.
--
-- Clients of registries without this list keep it themselves, as an index under a tag made from the
-- subject's digest. Such a tag is taken over when its subject is asked for.
local access = require "apps.registry.access"
local format = require "tidegate.format"
local gate = require "tidegate"
local links = require "apps.registry.forms.links"
local names = require "apps.registry.names"
local pages = require "apps.registry.pages"
local reply = require "apps.registry.reply"
local types = require "apps.registry.types"

local MANIFEST_MAX = 4 * 1024 * 1024
local ENTRY_MAX = 8 * 1024 * 1024 -- bytes; a descriptor with a whole manifest's annotations
local REPLY_MAX = 3 * 1024 * 1024 -- clients read no more than 4 MiB of a list
local ENTRY_FORMAT = 1
local LOOK_MAX = 1000 -- entries looked at for one reply

local M = {}

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

-- The digest of the manifest's subject, or nil without one. false when it is malformed.
function M.subject(doc)
  if not types.is_there(doc.subject) then return nil end
  local digest = type(doc.subject) == "table" and doc.subject.digest
  return type(digest) == "string" and names.digest(digest) and digest or false
end

-- What kind of artifact it is, as the specification wants it told.
local function artifact_type(doc, media_type)
  if is_text(doc.artifactType) then return doc.artifactType end
  if media_type == types.INDEX or type(doc.config) ~= "table" then return nil end
  return is_text(doc.config.mediaType) and doc.config.mediaType or nil
end

local function annotations(doc)
  local found = nil
  if type(doc.annotations) ~= "table" then return nil end
  for name, value in pairs(doc.annotations) do
    if type(name) == "string" and type(value) == "string" then
      found = found or {}
      found[name] = value
    end
  end
  return found
end

-- The entry of a manifest: the text of its descriptor.
function M.entry(doc, media_type, digest, size)
  return gate.json.encode {
    mediaType = media_type, digest = digest, size = size,
    artifactType = artifact_type(doc, media_type), annotations = annotations(doc),
  }
end

-- Before the revision is written.
function M.add(reg, repo, subject, digest, entry)
  reg.store:put(reg.layout.referrer(repo, subject, digest), entry)
end

-- After it is: a DELETE at the same time may have taken the entry for the old manifest's.
function M.keep(reg, repo, subject, digest, entry)
  if reg.store:stat(reg.layout.referrer(repo, subject, digest)) then return end
  M.add(reg, repo, subject, digest, entry)
end

-- Makes the repository own the manifest and, if it has a subject, lists it there.
function M.own(reg, repo, digest, target, media_type, by_digest, subject, entry)
  if subject then M.add(reg, repo, subject, digest, entry) end
  reg.form.own_manifest(reg, repo, digest, target, media_type, by_digest)
  if subject then M.keep(reg, repo, subject, digest, entry) end
end

-- After the revision is removed; not if it is back by then.
function M.remove(reg, repo, subject, digest)
  local key = reg.layout.referrer(repo, subject, digest)
  local entry = reg.store:read(key, ENTRY_MAX)
  if not entry then return end
  reg.store:remove(key)
  if reg.form.manifest(reg, repo, digest) then reg.store:put(key, entry) end
end

-- The manifest's decoded form; nil when it is not here, or no JSON object.
local function document(reg, repo, target)
  local text = reg.store:read(reg.layout.blob(target, repo), MANIFEST_MAX)
  local doc = text and gate.try(gate.json.decode, text)
  return type(doc) == "table" and doc or nil, text
end

-- The subject of a manifest in the store, or nil.
function M.subject_of(reg, repo, target)
  local doc = document(reg, repo, target)
  return doc and M.subject(doc) or nil
end

-- The tag under which clients keep a list for themselves. No character of a digest that is known
-- here has to be replaced.
local function client_tag(subject)
  local algorithm, hex = names.digest(subject)
  return algorithm .. "-" .. hex:sub(1, 64)
end

-- The entry of a manifest that a client has listed; nil unless it is here and has this subject.
local function entry_of(reg, repo, subject, child)
  local digest = type(child) == "table" and child.digest
  if type(digest) ~= "string" or not names.digest(digest) then return nil end
  if reg.store:stat(reg.layout.referrer(repo, subject, digest)) then return nil end
  local target = reg.form.manifest(reg, repo, digest)
  if not target then return nil end
  local doc, text = document(reg, repo, target)
  if not doc or M.subject(doc) ~= subject then return nil end
  return M.entry(doc, types.of(doc) or "application/octet-stream", digest, #text), digest
end

-- Takes over what a client's list names. Returns what could not be written, because the store is
-- full or takes no writes now: it belongs into the reply all the same.
local function take_over(reg, repo, subject)
  local _, target = reg.form.read_tag(reg, repo, client_tag(subject))
  if not target then return {} end
  local mark = reg.layout.referrers_taken(repo, subject)
  if links.read(reg, mark) == target then return {} end
  local index, homeless = document(reg, repo, target), {}
  local children = index and type(index.manifests) == "table" and index.manifests or {}
  for _, child in ipairs(children) do
    local entry, digest = entry_of(reg, repo, subject, child)
    if entry and not gate.try(function() M.add(reg, repo, subject, digest, entry); return true end)
    then
      homeless[#homeless + 1] = entry
    end
  end
  if #homeless == 0 then
    gate.try(reg.store.put, reg.store, mark, target)
    gate.log.info("referrers taken over", { repo = repo, subject = subject })
  end
  return homeless
end

-- The text of an entry that counts, or nil. One of a later version is an error: a list without it
-- would say that the manifest was never signed.
local function read(reg, repo, key, digest, wanted)
  if not names.digest(digest) then return nil end
  local text = reg.store:read(key, ENTRY_MAX)
  local entry = text and gate.try(gate.json.decode, text)
  if type(entry) ~= "table" then return nil end
  format.check(entry, ENTRY_FORMAT, key)
  if entry.digest ~= digest then return nil end
  if wanted and entry.artifactType ~= wanted then return nil end
  return reg.form.manifest(reg, repo, digest) and text
end

-- Up to n entries behind `last`. The second value is the digest to go on behind if more may follow.
local function page_of(reg, repo, subject, n, last, wanted)
  local prefix = reg.layout.referrers(repo, subject)
  local after = last and reg.layout.referrer(repo, subject, last)
  local found, size, looked = {}, 0, 0
  local limit = math.min(n, LOOK_MAX)
  local more
  repeat
    local list
    list, more = reg.store:list(prefix, { after = after, limit = limit })
    limit = math.min(2 * limit, LOOK_MAX)
    for _, item in ipairs(list) do
      local digest = item.name:sub(#prefix + 1):gsub("/", ":")
      if #found >= n then return found, last end
      local text = read(reg, repo, item.name, digest, wanted)
      if text and #found > 0 and size + #text > REPLY_MAX then return found, last end
      if text then
        found[#found + 1] = text
        size = size + #text
      end
      looked = looked + 1
      last, after = digest, item.name
    end
    if more and (#found >= n or looked >= LOOK_MAX) then return found, last end
  until not more
  return found, nil
end

local function link(reg, q, n, last)
  local filter = q.query.artifactType
  return ('<%s/%s/referrers/%s?n=%d&last=%s%s>; rel="next"'):format(reg.prefix, q.repo,
    q.params.digest, n, last, filter and "&artifactType=" .. pages.escape(filter) or "")
end

local function get(reg, q)
  local repo, subject = access.enter(reg, q, "pull"), q.params.digest
  local n, last = pages.wanted(q)
  if not names.digest(subject) or last and not names.digest(last) then
    gate.fail(400, "DIGEST_INVALID", "no digest of a manifest", { digest = last or subject })
  end
  local wanted = is_text(q.query.artifactType) and q.query.artifactType or nil
  local homeless = take_over(reg, repo, subject)
  local found, go_on
  if n == 0 then found = {} else found, go_on = page_of(reg, repo, subject, n, last, wanted) end
  if not go_on then
    for _, entry in ipairs(homeless) do
      if not wanted or gate.json.decode(entry).artifactType == wanted then
        found[#found + 1] = entry
      end
    end
  end
  local text = ('{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}'):format(types.INDEX,
    table.concat(found, ","))
  return reply(200, text, {
    ["Content-Type"] = types.INDEX, -- exactly: clients compare it
    ["OCI-Filters-Applied"] = wanted and "artifactType" or nil,
    Link = go_on and link(reg, q, n, go_on) or nil,
  })
end

function M.routes(app, reg)
  app:get("/{repo...}/referrers/{digest}", function(q) return get(reg, q) end)
end

return M
