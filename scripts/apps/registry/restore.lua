-- SPDX-License-Identifier: Apache-2.0
--
-- `tidegate restore`: brings back what is in the trash. It writes in the order of a push, so that
-- whoever is stopped anywhere leaves nothing that counts and points at nothing; the entry goes
-- last. What is back already stays as it is, so a restore that was cut off can be made again.
local blobs = require "apps.registry.blobs"
local gate = require "tidegate"
local immutable = require "apps.registry.immutable"
local names = require "apps.registry.names"
local record = require "apps.registry.record"
local references = require "apps.registry.references"
local referrers = require "apps.registry.referrers"
local trash = require "apps.registry.trash"
local types = require "apps.registry.types"

local MANIFEST_MAX = 4 * 1024 * 1024

local M = {}

-- "ci/app:v1" or "ci/app@sha256:…" -> the repository, the tag, the digest. A mistake otherwise.
local function parse(text)
  local repo, digest = text:match "^(.-)@(.+)$"
  local tag = nil
  if not repo then repo, tag = text:match "^(.+):([^:/]+)$" end
  if not repo or not names.is_repo(repo) or tag and not names.is_tag(tag)
    or digest and not names.digest(digest) then
    error(("%q is neither REPO:TAG nor REPO@DIGEST"):format(text), 0)
  end
  return repo, tag, digest
end

-- The blobs that the manifest needs and the repository does not own any more; or, second, the
-- content that is gone.
local function lacking(reg, repo, doc)
  local unowned = {}
  for _, digest in ipairs(reg.sparse and {} or references.needed(doc)) do
    if not blobs.has(reg, repo, digest) then
      local is_there = names.digest(digest) == "sha256"
        and reg.store:stat(reg.layout.blob(digest, repo))
      if not is_there then return nil, digest end
      unowned[#unowned + 1] = digest
    end
  end
  return unowned
end

-- Makes the manifest the repository's again. Returns the digest of what is gone, if something is.
local function own(reg, repo, entry)
  if reg.form.manifest(reg, repo, entry.digest) then return nil end
  local text = reg.store:read(reg.layout.blob(entry.target, repo), MANIFEST_MAX)
  local doc = text and gate.try(gate.json.decode, text)
  if type(doc) ~= "table" then return entry.target end
  local unowned, gone = lacking(reg, repo, doc)
  if gone then return gone end
  for _, digest in ipairs(unowned) do reg.form.own_blob(reg, repo, digest, digest) end
  local media_type = types.of_text(text)
  local subject = referrers.subject(doc) or nil
  referrers.own(reg, repo, entry.digest, entry.target, media_type, true, subject,
    subject and referrers.entry(doc, media_type, entry.digest, #text))
  return nil
end

-- Sets the tag. Returns what it names, if that is immutable and was faster.
local function set(reg, q, entry)
  local media_type = types.of_text(reg.store:read(reg.layout.blob(entry.target, entry.repo),
    MANIFEST_MAX) or "")
  local write = immutable.is(reg, q, entry.repo, entry.tag) and reg.form.set_tag_once
    or reg.form.set_tag
  local other = write(reg, entry.repo, entry.tag, entry.digest, entry.target, media_type)
  if not other then
    reg.form.keep_manifest(reg, entry.repo, entry.digest, entry.target, media_type)
  end
  return other
end

local function whole_name(reg, entry)
  local repo = reg.space.outer(entry.repo)
  return entry.tag and repo .. ":" .. entry.tag or repo .. "@" .. entry.digest
end

local function incomplete(c, reg, entry, gone)
  c:found("incomplete", { what = whole_name(reg, entry), gone = gone })
end

-- Who does it, as far as the system's environment tells.
local function request(entry)
  return { id = gate.uuid(), repo = entry.repo, action = "restore",
    user = { name = gate.env "LOGNAME" or gate.env "USER" or "" } }
end

-- Brings a tag back. `gently`: a tag that is there again is left alone without a word.
local function restore_tag(c, reg, entry, gently)
  local q = request(entry)
  local now, target = reg.form.read_tag(reg, entry.repo, entry.tag)
  local is_back = target == entry.target
  local stays = now and not is_back
    and (not c.options.force or immutable.is(reg, q, entry.repo, entry.tag))
  if stays and gently then return end
  if stays then
    return c:found("in the way", { what = whole_name(reg, entry), names = now,
      why = c.options.force and "it is immutable" or "--force moves it back" })
  end
  local gone = own(reg, entry.repo, entry)
  if gone then return incomplete(c, reg, entry, gone) end
  if not is_back then
    local other = record.change(reg, q, { tag = entry.tag, old = now, new = entry.digest }, set,
      reg, q, entry)
    if other then
      return c:found("in the way", { what = whole_name(reg, entry), names = other,
        why = "it is immutable" })
    end
  end
  trash.forget(reg, entry)
  c:count(is_back and "there already" or "restored")
end

-- Brings a manifest back, and the tags that went with it.
local function restore_manifest(c, reg, entry)
  local is_back = reg.form.manifest(reg, entry.repo, entry.digest)
  local gone
  if not is_back then
    gone = record.change(reg, request(entry), { new = entry.digest }, own, reg, entry.repo, entry)
  end
  if gone then return incomplete(c, reg, entry, gone) end
  for _, tag in ipairs(trash.tags_with(reg, entry)) do restore_tag(c, reg, tag, true) end
  trash.forget(reg, entry)
  c:count(is_back and "there already" or "restored")
end

-- c is what tidegate.chores describes.
function M.run(c, reg)
  local outer, tag, digest = parse(c.options.what)
  local repo = reg.space.inner(outer)
  local entry = repo and trash.find(reg, repo, tag, digest, c.options.at)
  if not entry then return end
  if tag then restore_tag(c, reg, entry) else restore_manifest(c, reg, entry) end
end

return M
