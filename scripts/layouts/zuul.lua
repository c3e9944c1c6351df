-- SPDX-License-Identifier: Apache-2.0
--
-- The directory of zuul-registry, name by name: what one of the two writes, the other reads. Pure
-- functions from names to keys; the names were checked before. Prefixes end with "/".
--
-- Content belongs to a namespace, and all of its repositories have all of it. There is one
-- namespace, "_local"; `namespaced` is the same layout with one for each first component of a
-- repository's name, which is not part of the keys below it.
local LOCAL = "_local"

-- What stands behind a namespace in a key, and what the key then is.
local ENTRIES = {
  { "^/blobs/([^/]+)/data$", "blob" },
  { "^/repos(.*)/manifests/([^/]+)$", "record" },
  { "^/uploads/([^/]+)/metadata$", "upload" },
}

-- "sha256:ab…" -> "sha256/ab…"
local function path_of(digest)
  return (digest:gsub(":", "/"))
end

-- One namespace: everything is below "_local/".
local function of_one(repo)
  return LOCAL, repo and "/" .. repo or ""
end

-- "a/b/c" -> "a", "/b/c"
local function of_first(repo)
  return repo:match "^([^/]+)(.*)$"
end

-- A layout. split(repo) returns a repository's namespace and what of its name is below that.
local function build(split)
  local M = {
    form = "records", -- how what lies under the keys is read and written (apps/registry/forms)
    uploads = "parts",
    sums = { "md5", "crc32c" }, -- of each part of an upload: the other registry's, and a fast one
    root = "", -- all its keys are below this: all there are
    reserved = "_", -- what no component of a repository's name begins with
    marker = "manifests", -- the entry that makes a name a repository, and no component of one
  }

  local function in_space(repo, kind)
    local space, rest = split(repo)
    return space .. kind .. rest
  end

  -- The content of layers, configs and manifests alike.
  function M.blob(digest, repo)
    return (split(repo)) .. "/blobs/" .. digest .. "/data"
  end

  -- The prefix of the repositories whose names begin with this one's and a slash; of all, without.
  function M.below(repo)
    if not repo and split ~= of_one then return "" end
    return in_space(repo, "/repos") .. "/"
  end

  -- A tag "manifests", and a repository below another one that is called so, would be one name.
  function M.takes(repo)
    return not ("/" .. repo .. "/"):find("/manifests/", 1, true)
  end

  -- All tags, and the manifests that were pushed by digest: records.
  function M.tags(repo)
    return in_space(repo, "/repos") .. "/manifests/"
  end

  M.manifests = M.tags

  -- What a tag, or a digest, names.
  function M.record(repo, name)
    return M.tags(repo) .. name
  end

  -- Everything about the manifests that name this one as their subject. The other registry knows no
  -- such thing, and looks at nothing here.
  function M.referrers(repo, subject)
    return in_space(repo, "/referrers") .. "/_" .. path_of(subject) .. "/of/"
  end

  -- One of them; holds its descriptor.
  function M.referrer(repo, subject, digest)
    return M.referrers(repo, subject) .. path_of(digest)
  end

  -- The list kept by clients under a tag of which every entry was taken over.
  function M.referrers_taken(repo, subject)
    return in_space(repo, "/referrers") .. "/_" .. path_of(subject) .. "/taken"
  end

  -- The other registry writes UUIDs without dashes.
  function M.session_id(uuid)
    return (uuid:gsub("-", ""))
  end

  -- All upload sessions of the repository's namespace, each below its id.
  function M.upload_sessions(repo)
    return (split(repo)) .. "/uploads/"
  end

  -- Everything about one upload session.
  function M.upload(repo, id)
    return (split(repo)) .. "/uploads/" .. id .. "/"
  end

  -- What is known of it; it exists while this does.
  function M.upload_record(repo, id)
    return M.upload(repo, id) .. "metadata"
  end

  -- The n-th of its parts, from 1 on.
  function M.upload_part(repo, id, n)
    return ("%s%d"):format(M.upload(repo, id), n)
  end

  -- What a key names, the other way round: "blob" and its digest, "record", its repository and its
  -- tag or digest, or "upload" and its id; nil for what is not the layout's, or is of no account
  -- alone.
  function M.meaning(key)
    local space, rest = key:match "^([^/]+)(/.*)$"
    if not space or split == of_one and space ~= LOCAL then return nil end
    for _, entry in ipairs(ENTRIES) do
      local a, b = rest:match(entry[1])
      if a then
        if entry[2] ~= "record" then return entry[2], a end
        return "record", split == of_first and space .. a or a:sub(2), b
      end
    end
    return nil
  end

  return M
end

local M = build(of_one)

M.namespaced = build(of_first)

return M
