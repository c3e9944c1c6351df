-- SPDX-License-Identifier: Apache-2.0
--
-- Manifests, by tag and by digest. Their bytes are kept exactly as they came.
--
-- A manifest is written blob first, then its entry among the referrers of its subject, if it has
-- one (referrers.lua), then the repository owns it, then the tag names it: whoever is stopped
-- anywhere leaves nothing that counts and points at nothing.
--
-- Reading by tag follows the tag straight to the content and does not look whether the repository
-- owns it: the tag implies that, at the price of care where they change, which is rare, instead of
-- one more look at the store on every pull. A DELETE takes the tags away before the manifest and
-- looks for new ones after it; a PUT that has set a tag makes the manifest the repository's again
-- if it is not by then. So whichever of the two comes last, no tag stays behind without its
-- manifest.
local access = require "apps.registry.access"
local admit = require "apps.registry.admit"
local blobs = require "apps.registry.blobs"
local gate = require "tidegate"
local immutable = require "apps.registry.immutable"
local names = require "apps.registry.names"
local quota = require "apps.registry.quota"
local references = require "apps.registry.references"
local referrers = require "apps.registry.referrers"
local record = require "apps.registry.record"
local reply = require "apps.registry.reply"
local tags = require "apps.registry.tags"
local trash = require "apps.registry.trash"
local types = require "apps.registry.types"

local FOREVER = { immutable = true } -- content never changes under its digest
local SIZE_MAX = 4 * 1024 * 1024 -- bytes; what the specification asks for at least
local MISSING_MAX = 100 -- blobs named in one refusal
local TAGS_MAX = 20 -- of one push, each a line of the reply; the specification asks for ten

local M = {}

-- What the last part of the path is: a digest and its algorithm, or a tag.
local function reference(q)
  local ref = q.params.ref
  if names.is_tag(ref) then
    q.tag = ref
    return nil
  end
  local algorithm = names.digest(ref)
  if algorithm then return ref, algorithm end
  if not ref:find(":", 1, true) then gate.fail(400, "TAG_INVALID", "no tag", { tag = ref }) end
  gate.fail(400, "DIGEST_INVALID", "no digest of a manifest", { digest = ref })
end

local function unknown(q)
  gate.fail(404, "MANIFEST_UNKNOWN", "no such manifest in this repository",
    { reference = q.params.ref })
end

local function invalid(why, detail)
  gate.fail(400, "MANIFEST_INVALID", why, detail)
end

-- The media type of a manifest in the store; learnt from its bytes the first time.
local function type_of(reg, repo, digest)
  local known = reg.types.get(digest)
  if known then return known end
  local text = reg.store:read(reg.layout.blob(digest, repo), SIZE_MAX)
  if not text then return nil end
  local learnt = types.of_text(text)
  reg.types.put(digest, learnt)
  return learnt
end

local function get(reg, q)
  local digest = reference(q)
  access.enter(reg, q, "pull")
  local target, media_type
  if q.tag then
    digest, target, media_type = reg.form.read_tag(reg, q.repo, q.tag, q)
  else
    target, media_type = reg.form.manifest(reg, q.repo, digest)
  end
  if target and not media_type then media_type = type_of(reg, q.repo, target) end
  local content = media_type and reg.store:open(reg.layout.blob(target, q.repo), FOREVER)
  if not content then unknown(q) end
  q:note { digest = digest }
  content.etag = digest
  return reply(200, content, {
    ["Content-Type"] = media_type,
    ["Docker-Content-Digest"] = digest,
    Vary = q.tag and reg.form.varies,
  })
end

-- The config and the layers have to be here already, unless the registry is sparse. The manifests
-- of an index need not: mirrors keep indexes of which they hold some platforms only, and BuildKit
-- lists layers there. Returns the digests that are missing.
local function check_references(reg, repo, doc)
  local needed, missing = references.needed(doc), {}
  for _, digest in ipairs(reg.sparse and {} or needed) do
    if #missing < MISSING_MAX and not blobs.has(reg, repo, digest) then
      missing[#missing + 1] = digest
    end
  end
  return missing
end

-- Each missing blob is an error of its own, as the specification has it.
local function lacking(q, missing)
  local entries = {}
  for i, digest in ipairs(missing) do
    entries[i] = { code = "MANIFEST_BLOB_UNKNOWN", message = "a blob of the manifest is not here",
      detail = { digest = digest } }
  end
  gate.log.info("refused", { status = 404, code = entries[1].code, repo = q.repo,
    digest = missing[1], missing = #missing })
  return reply(404, { errors = entries })
end

-- The body's bytes, its decoded form and its media type.
local function receive(q)
  if not q.body then invalid("no manifest in the body") end
  if q.length and q.length > SIZE_MAX then
    gate.fail(413, "SIZE_INVALID", "a manifest has at most 4 MiB", { size = q.length })
  end
  local text = q.body:text(SIZE_MAX)
  local doc, e = gate.try(gate.json.decode, text)
  if e then invalid(e.message, e.detail) end
  if type(doc) ~= "table" then invalid("the manifest is no JSON object") end
  local media_type = types.of(doc)
  if not media_type then invalid("the manifest does not show its media type") end
  if q.type and q.type ~= media_type:lower() then
    invalid("Content-Type and the manifest's media type differ",
      { contentType = q.type, mediaType = media_type })
  end
  return text, doc, media_type
end

-- The tags that the manifest is to have: the reference itself, or each ?tag= beside a digest. For
-- those the user needs the right to push a tag, too.
local function tags_of(reg, q, digest)
  if not digest then return { q.tag } end
  local found, seen = {}, {}
  for _, tag in ipairs(q.queries.tag or {}) do
    if not names.is_tag(tag) then gate.fail(400, "TAG_INVALID", "no tag", { tag = tag }) end
    if not seen[tag] then found[#found + 1] = tag end
    seen[tag] = true
  end
  if #found > TAGS_MAX then
    gate.fail(414, "TAG_INVALID", "too many tags at once", { most = TAGS_MAX })
  end
  for _, tag in ipairs(found) do
    q.tag = tag
    access.ask(reg, q, "tag")
  end
  q.tag = nil
  return found
end

-- Writes the tag, which then names the manifest by this digest; see the top of this file.
local function set_tag(reg, q, tag, digest, target, media_type)
  local repo = q.repo
  if immutable.is(reg, q, repo, tag) then
    immutable.set(reg, q, repo, tag, digest, target, media_type)
  else
    reg.form.set_tag(reg, repo, tag, digest, target, media_type)
  end
  reg.form.keep_manifest(reg, repo, digest, target, media_type)
end

local function announce(reg, q, tagged, digest, media_type, size)
  for i = 1, math.max(#tagged, 1) do
    gate.log.info("manifest pushed", { repo = q.repo, tag = tagged[i], digest = digest })
    reg.emit(q, "manifest.pushed", { tag = tagged[i], digest = digest, type = media_type,
      size = size, subject = q.subject })
  end
end

local function put(reg, q)
  local digest, algorithm = reference(q)
  local repo = access.enter(reg, q, q.tag and "tag" or "push")
  if algorithm and not reg.form.algorithms[algorithm] then
    gate.fail(400, "DIGEST_INVALID", "no digest of this algorithm is taken", { digest = digest })
  end
  local wanted = tags_of(reg, q, digest)
  local text, doc, media_type = receive(q)
  local target = "sha256:" .. gate.hash("sha256", text)
  local is_right = not digest or digest == target
    or algorithm ~= "sha256" and digest == algorithm .. ":" .. gate.hash(algorithm, text)
  if not is_right then
    gate.fail(400, "DIGEST_INVALID", "the manifest has another digest", { digest = digest })
  end
  for _, tag in ipairs(wanted) do immutable.check(reg, q, repo, tag, digest or target, target) end
  local by_digest = digest ~= nil
  digest = digest or target
  q:note { digest = digest }
  local missing = check_references(reg, repo, doc)
  if #missing > 0 then return lacking(q, missing) end
  local subject = referrers.subject(doc)
  if subject == false then invalid("not a descriptor", { at = "/subject" }) end
  q.subject = subject
  admit.ask(reg, q, doc, { digest = digest, size = #text, mediaType = media_type, tags = wanted })
  local owned = reg.quota and reg.form.manifest(reg, repo, digest)
  local function old(tag) return (reg.form.read_tag(reg, repo, tag)) end
  record.push(reg, q, wanted, digest, old, function()
    quota.keep(reg, q, #text, owned, function()
      reg.store:put(reg.layout.blob(target, repo), text)
      referrers.own(reg, repo, digest, target, media_type, by_digest, subject,
        subject and referrers.entry(doc, media_type, digest, #text))
      return true
    end)
    for _, tag in ipairs(wanted) do set_tag(reg, q, tag, digest, target, media_type) end
  end)
  reg.types.put(target, media_type)
  announce(reg, q, wanted, digest, media_type, #text)
  return reply(201, nil, {
    Location = ("%s/%s/manifests/%s"):format(reg.prefix, repo, digest),
    ["Docker-Content-Digest"] = digest,
    ["OCI-Subject"] = subject,
    ["OCI-Tag"] = by_digest and #wanted > 0 and wanted or nil,
  })
end

local function delete_tag(reg, q, repo)
  local named, target = reg.form.read_tag(reg, repo, q.tag)
  if immutable.is(reg, q, repo, q.tag) then
    if named then immutable.deny(q, q.tag, named) end
    unknown(q)
  end
  if not named and reg.audit then unknown(q) end
  record.change(reg, q, { tag = q.tag, old = named }, function()
    if not trash.keep(reg, q, q.tag, named, target, reg.form.remove_tag, reg, repo, q.tag) then
      unknown(q)
    end
  end)
  gate.log.info("tag deleted", { repo = repo, tag = q.tag })
  reg.emit(q, "tag.deleted", { tag = q.tag, digest = named })
  return reply(202)
end

-- Takes away every tag that names the manifest. Returns one that is immutable, if there is one:
-- that one stays.
local function untag(reg, q, digest, target, only_look)
  local repo, kept = q.repo, nil
  tags.each_of(reg, repo, digest, target, function(tag, named)
    if immutable.is(reg, q, repo, tag) then
      kept = tag
    elseif not only_look and record.change(reg, q, { action = "untag", tag = tag, old = target },
      trash.keep, reg, q, tag, named, target, reg.form.untag, reg, repo, tag, target) then
      reg.emit(q, "tag.deleted", { tag = tag, digest = target })
    end
  end)
  return kept
end

-- Takes the manifest away, whose last tags it takes along.
local function disown(reg, q, digest, target)
  local repo = q.repo
  reg.form.disown_manifest(reg, repo, digest, target)
  local kept = untag(reg, q, digest, target)
  if kept then -- set since the first look
    reg.form.own_manifest(reg, repo, digest, target, nil, true)
    immutable.deny(q, kept, digest)
  end
  return true
end

local function delete(reg, q)
  local digest = reference(q)
  local repo = access.enter(reg, q, q.tag and "untag" or "delete")
  if q.tag then return delete_tag(reg, q, repo) end
  local target = reg.form.manifest(reg, repo, digest)
  if not target then unknown(q) end
  local kept = reg.immutable and untag(reg, q, digest, target, true)
  if kept then immutable.deny(q, kept, digest) end
  local subject = referrers.subject_of(reg, repo, target)
  untag(reg, q, digest, target)
  record.change(reg, q, { old = digest }, trash.keep, reg, q, nil, digest, target,
    disown, reg, q, digest, target)
  if subject then
    for _, d in ipairs { digest, target } do referrers.remove(reg, repo, subject, d) end
  end
  quota.drop(reg, repo, target)
  gate.log.info("manifest deleted", { repo = repo, digest = digest })
  reg.emit(q, "manifest.deleted", { digest = digest })
  return reply(202)
end

function M.routes(app, reg)
  local path = "/{repo...}/manifests/{ref}"
  app:get(path, function(q) return get(reg, q) end)
  app:put(path, function(q) return put(reg, q) end)
  app:delete(path, function(q) return delete(reg, q) end)
end

return M
