-- SPDX-License-Identifier: Apache-2.0
--
-- The directory of the distribution registry (v2 and v3), name by name: what one of the two
-- writes, the other reads. Pure functions from names to keys; the names were checked before.
-- Prefixes end with "/". A link's content is a digest without a newline.
local byte, sub = string.byte, string.sub

local ROOT = "docker/registry/v2/"
local REPOSITORIES = ROOT .. "repositories/"

local M = {}

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

-- All its keys are below this.
M.root = ROOT

-- Where all repositories are, each below its name.
M.repositories = REPOSITORIES

-- What no component of a repository's name begins with: the layout's own entries do.
M.reserved = "_"

-- The entry that makes a name a repository.
M.marker = "_manifests"

-- The content of layers, configs and manifests alike; always by its SHA-256.
function M.blob(digest)
  local algorithm, hex = halves(digest)
  return ROOT .. "blobs/" .. algorithm .. "/" .. sub(hex, 1, 2) .. "/" .. hex .. "/data"
end

-- The repository owns this blob.
function M.layer(repo, digest)
  return REPOSITORIES .. repo .. "/_layers/" .. path_of(digest) .. "/link"
end

-- The repository owns this manifest.
function M.revision(repo, digest)
  return REPOSITORIES .. repo .. "/_manifests/revisions/" .. path_of(digest) .. "/link"
end

-- All blobs, and all manifests, that the repository owns.
function M.layers(repo)
  return REPOSITORIES .. repo .. "/_layers/"
end

function M.revisions(repo)
  return REPOSITORIES .. repo .. "/_manifests/revisions/"
end

-- The SHA-256 digest that a key below one of these two is about; nil for an alias of it.
function M.linked(key)
  local hex = key:match "/sha256/(%x+)/link$"
  return hex and "sha256:" .. hex
end

-- Everything about the manifests of a repository: it exists while something is there.
function M.manifests(repo)
  return REPOSITORIES .. repo .. "/_manifests/"
end

function M.tags(repo)
  return REPOSITORIES .. repo .. "/_manifests/tags/"
end

-- Everything about one tag.
function M.tag(repo, tag)
  return REPOSITORIES .. repo .. "/_manifests/tags/" .. tag .. "/"
end

-- What the tag names now.
function M.tag_current(repo, tag)
  return REPOSITORIES .. repo .. "/_manifests/tags/" .. tag .. "/current/link"
end

-- A manifest that the tag names or named.
function M.tag_index(repo, tag, digest)
  return REPOSITORIES .. repo .. "/_manifests/tags/" .. tag .. "/index/" .. path_of(digest)
    .. "/link"
end

-- Everything about the manifests that name this one as their subject: an entry for each below
-- "<algorithm>/<hex>". The distribution registry knows no such thing, and passes over what begins
-- with "_".
function M.referrers(repo, subject)
  return REPOSITORIES .. repo .. "/_referrers/" .. path_of(subject) .. "/of/"
end

-- One of them; holds its descriptor.
function M.referrer(repo, subject, digest)
  return M.referrers(repo, subject) .. path_of(digest)
end

-- The list kept by clients under a tag of which every entry was taken over; a link.
function M.referrers_taken(repo, subject)
  return REPOSITORIES .. repo .. "/_referrers/" .. path_of(subject) .. "/taken"
end

-- What was deleted (apps/registry/trash.lua). The distribution registry does not look here.
M.trash = ROOT .. "_trash/"

-- Everything about one upload session.
function M.upload(repo, id)
  return REPOSITORIES .. repo .. "/_uploads/" .. id .. "/"
end

-- When the session began; it exists while this does.
function M.upload_started(repo, id)
  return REPOSITORIES .. repo .. "/_uploads/" .. id .. "/startedat"
end

-- The bytes that came so far.
function M.upload_data(repo, id)
  return REPOSITORIES .. repo .. "/_uploads/" .. id .. "/data"
end

-- The saved states of a running digest, each named by the offset that it stands behind.
function M.upload_states(repo, id, algorithm)
  return REPOSITORIES .. repo .. "/_uploads/" .. id .. "/hashstates/" .. algorithm .. "/"
end

-- What stands behind a repository's name in a key, and what the key then is; digests are in two
-- parts. The first that fits counts.
local ENTRIES = {
  { "^_layers/([^/]+)/([^/]+)/link$", "layer" },
  { "^_manifests/revisions/([^/]+)/([^/]+)/link$", "revision" },
  { "^_manifests/tags/([^/]+)/current/link$", "tag" },
  { "^_manifests/tags/([^/]+)/index/([^/]+)/([^/]+)/link$", "history" },
  { "^_referrers/([^/]+)/([^/]+)/", "referrer" },
  { "^_uploads/([^/]+)/data$", "upload" },
}

-- What a key names, the other way round: "blob", digest, or the kind of an entry, its repository,
-- and its digest or its tag or id; nil for what is not the layout's, or is of no account alone.
function M.meaning(key)
  if sub(key, 1, #ROOT) ~= ROOT then return nil end
  local algorithm, hex = key:match("^blobs/([^/]+)/[^/]+/([^/]+)/data$", #ROOT + 1)
  if algorithm then return "blob", algorithm .. ":" .. hex end
  local deleted_in = key:match("^_trash/[^/]+/(.-)/_", #ROOT + 1)
  if deleted_in then return "trash", deleted_in end
  local repo, rest = key:match("^repositories/(.-)/(_.*)$", #ROOT + 1)
  if not repo then return nil end
  for _, entry in ipairs(ENTRIES) do
    local a, b = rest:match(entry[1])
    if a then
      local is_digest = entry[2] == "layer" or entry[2] == "revision" or entry[2] == "referrer"
      return entry[2], repo, is_digest and a .. ":" .. b or a
    end
  end
  return nil
end

return M
