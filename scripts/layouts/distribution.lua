-- SPDX-License-Identifier: Apache-2.0
--
-- The directory of the distribution registry (v2 and v3), name by name: what one of the two
-- writes, the other reads. Pure functions from names to keys; the names were checked before.
-- Prefixes end with "/". A link's content is a digest without a newline.
--
-- docs/layouts.md says what each function is for, and how `with` makes another layout of this one.
local check = require("tidegate.check").check

local byte, sub = string.byte, string.sub

local ROOT = "docker/registry/v2/"

-- "sha256:ab…" -> "sha256", "ab…". Byte by byte, which is compiled.
local function halves(digest)
  for i = 1, #digest do
    if byte(digest, i) == 58 then return sub(digest, 1, i - 1), sub(digest, i + 1) end
  end
  error("not a digest: " .. digest)
end

-- "sha256:ab…" -> "sha256/ab…"
local function path_of(digest)
  local algorithm, hex = halves(digest)
  return algorithm .. "/" .. hex
end

-- What a repository has: what stands behind its name in the keys.
local entries = {}

-- The repository owns this blob.
function entries.layer(digest)
  return "/_layers/" .. path_of(digest) .. "/link"
end

-- The repository owns this manifest.
function entries.revision(digest)
  return "/_manifests/revisions/" .. path_of(digest) .. "/link"
end

-- All blobs, and all manifests, that the repository owns.
function entries.layers()
  return "/_layers/"
end

function entries.revisions()
  return "/_manifests/revisions/"
end

-- Everything about the manifests of a repository: it exists while something is there.
function entries.manifests()
  return "/_manifests/"
end

function entries.tags()
  return "/_manifests/tags/"
end

-- Everything about one tag.
function entries.tag(tag)
  return "/_manifests/tags/" .. tag .. "/"
end

-- What the tag names now.
function entries.tag_current(tag)
  return "/_manifests/tags/" .. tag .. "/current/link"
end

-- A manifest that the tag names or named.
function entries.tag_index(tag, digest)
  return "/_manifests/tags/" .. tag .. "/index/" .. path_of(digest) .. "/link"
end

-- Everything about the manifests that name this one as their subject: an entry for each below
-- "<algorithm>/<hex>". The distribution registry knows no such thing, and passes over what begins
-- with "_".
function entries.referrers(subject)
  return "/_referrers/" .. path_of(subject) .. "/of/"
end

-- One of them; holds its descriptor.
function entries.referrer(subject, digest)
  return "/_referrers/" .. path_of(subject) .. "/of/" .. path_of(digest)
end

-- The list kept by clients under a tag of which every entry was taken over; a link.
function entries.referrers_taken(subject)
  return "/_referrers/" .. path_of(subject) .. "/taken"
end

-- All upload sessions of a repository, each below its id.
function entries.upload_sessions()
  return "/_uploads/"
end

-- Everything about one upload session.
function entries.upload(id)
  return "/_uploads/" .. id .. "/"
end

-- When the session began; it exists while this does.
function entries.upload_started(id)
  return "/_uploads/" .. id .. "/startedat"
end

-- The bytes that came so far.
function entries.upload_data(id)
  return "/_uploads/" .. id .. "/data"
end

-- The saved states of a running digest, each named by the offset that it stands behind.
function entries.upload_states(id, algorithm)
  return "/_uploads/" .. id .. "/hashstates/" .. algorithm .. "/"
end

-- The same of an upload in parts, which the distribution registry does not know: what is known of
-- it, and the n-th of its bodies.
function entries.upload_record(id)
  return "/_uploads/" .. id .. "/record"
end

function entries.upload_part(id, n)
  return ("/_uploads/%s/%d"):format(id, n)
end
-- The same the other way round: what stands behind a repository's name, and what the key then is;
-- digests are in two parts. The first that fits counts.
local MEANINGS = {
  { "^_layers/([^/]+)/([^/]+)/link$", "layer" },
  { "^_manifests/revisions/([^/]+)/([^/]+)/link$", "revision" },
  { "^_manifests/tags/([^/]+)/current/link$", "tag" },
  { "^_manifests/tags/([^/]+)/index/([^/]+)/([^/]+)/link$", "history" },
  { "^_referrers/([^/]+)/([^/]+)/", "referrer" },
  { "^_uploads/([^/]+)/data$", "upload" },
  { "^_uploads/([^/]+)/%d+$", "upload" },
}

local OF_DIGESTS = { layer = true, revision = true, referrer = true }
local HEX = "%f[%x](" .. ("%x"):rep(64) .. ")%f[^%x]"

-- What a key of this layout means.
local function meaning(layout, key)
  local hex = key:match(HEX)
  if hex and layout.blob("sha256:" .. hex) == key then return "blob", "sha256:" .. hex end
  local before, trash = layout.repositories, layout.trash
  if sub(key, 1, #trash) == trash then
    local deleted_in = key:match("^[^/]+/(.-)/_", #trash + 1)
    return deleted_in and "trash", deleted_in
  end
  if sub(key, 1, #before) ~= before then return nil end
  local repo, rest = key:match("^(.-)/(_.*)$", #before + 1)
  if not repo then return nil end
  for _, one in ipairs(MEANINGS) do
    local a, b = rest:match(one[1])
    if a then return one[2], repo, OF_DIGESTS[one[2]] and a .. ":" .. b or a end
  end
  return nil
end

-- A layout: this one, but for what `changes` says.
local function build(changes)
  local root = changes.root or ROOT
  local repositories = changes.repositories or root .. "repositories/"
  local blobs = root .. "blobs/"
  local M = {
    root = root, -- all its keys are below this
    repositories = repositories, -- where all repositories are, each below its name
    -- what was deleted (apps/registry/trash.lua); the distribution registry does not look here
    trash = root .. "_trash/",
    reserved = "_", -- what no component of a repository's name begins with: entries do
    marker = "_manifests", -- the entry that makes a name a repository
  }

  for name, rest in pairs(entries) do
    M[name] = function(repo, a, b) return repositories .. repo .. rest(a, b) end
  end

  -- The content of layers, configs and manifests alike; always by its SHA-256.
  function M.blob(digest)
    local algorithm, hex = halves(digest)
    return blobs .. algorithm .. "/" .. sub(hex, 1, 2) .. "/" .. hex .. "/data"
  end

  -- The SHA-256 digest that a key below `layers` or `revisions` is about; nil for an alias of it.
  function M.linked(key)
    local hex = key:match "/sha256/(%x+)/link$"
    return hex and "sha256:" .. hex
  end

  -- What a key names: "blob", digest, or the kind of an entry, its repository, and its digest or
  -- its tag or id; nil for what is not the layout's, or is of no account alone.
  function M.meaning(key)
    return meaning(M, key)
  end

  local schema = { uploads = "string", sums = "table", takes = "function", session_id = "function" }
  for name, value in pairs(M) do schema[name] = type(value) end

  -- Another layout, made of this one: `more` has what is different. All keys go along with `root`,
  -- and those of repositories with `repositories`.
  function M.with(more)
    local all = check(more, schema, "layouts.distribution.with")
    for name, value in pairs(changes) do
      if all[name] == nil then all[name] = value end
    end
    return build(all)
  end

  for name, value in pairs(changes) do M[name] = value end
  return M
end

return build {}
