-- SPDX-License-Identifier: Apache-2.0
--
-- What the registry needs of a layout: which functions, what their results are, and what has to
-- hold among them. layouts.lua looks whether it does; docs/layouts.md tells it to who writes one.
--
-- KEYS are functions that name an object: { name, arguments, what the object is }. With `shared`
-- several repositories may have the same one.
--
-- PREFIXES are functions that name a prefix, which belongs to their arguments: { name, arguments,
-- what is below it, which functions' keys are }.
--
-- Arguments are kinds of names: "repo", "tag", "digest", "content" (a SHA-256 digest), "subject" (a
-- digest), "id" (of an upload), "algorithm", "part" (a number), "name" (a tag or a digest).
local M = {}

local KEYS = {
  { "blob", { "content", "repo" }, "the content of layers, configs and manifests", shared = true },
  { "referrer", { "repo", "subject", "digest" }, "the descriptor of a manifest with this subject" },
  { "referrers_taken", { "repo", "subject" }, "which client's list of referrers was taken over" },
}

local PREFIXES = {
  { "referrers", { "repo", "subject" }, "the manifests with this subject", { "referrer" } },
}

local FORMS = {
  links = {
    keys = {
      { "layer", { "repo", "digest" }, "the link that says a repository owns a blob" },
      { "revision", { "repo", "digest" }, "the link that says a repository owns a manifest" },
      { "tag_current", { "repo", "tag" }, "what a tag names" },
      { "tag_index", { "repo", "tag", "digest" }, "what a tag names or has named" },
    },
    prefixes = {
      { "manifests", { "repo" }, "everything about the manifests of a repository",
        { "revision", "tag_current", "tag_index" } },
      { "tags", { "repo" }, "the tags of a repository", { "tag_current", "tag_index" } },
      { "tag", { "repo", "tag" }, "everything about a tag", { "tag_current", "tag_index" } },
      { "layers", { "repo" }, "the links to blobs", { "layer" }, optional = true },
      { "revisions", { "repo" }, "the links to manifests", { "revision" }, optional = true },
    },
    values = { repositories = "the prefix that all repositories are below, each by its name" },
    meanings = {
      layer = "layer", revision = "revision", tag_current = "tag", tag_index = "history",
      referrer = "referrer",
    },
    -- what lists rely on: the key of a name is made of the prefix and the name
    relations = {
      tag = function(layout, repo, tag) return layout.tags(repo) .. tag .. "/" end,
    },
  },
  records = {
    keys = { { "record", { "repo", "name" }, "what a tag or a digest names" } },
    prefixes = {
      { "manifests", { "repo" }, "everything about the manifests of a repository", { "record" } },
      { "tags", { "repo" }, "the tags of a repository", { "record" } },
    },
    values = {},
    meanings = { record = "record" },
    relations = {
      record = function(layout, repo, name) return layout.tags(repo) .. name end,
    },
  },
}

local UPLOADS = {
  append = {
    keys = {
      { "upload_started", { "repo", "id" }, "when an upload began", shared = true },
      { "upload_data", { "repo", "id" }, "the bytes of an upload", shared = true },
    },
    prefixes = {
      { "upload", { "repo", "id" }, "everything about an upload",
        { "upload_started", "upload_data", "upload_states" }, shared = true },
      { "upload_sessions", { "repo" }, "all uploads of a repository, each below its id",
        { "upload", "upload_started", "upload_data", "upload_states" }, optional = true },
      { "upload_states", { "repo", "id", "algorithm" }, "the states of a digest", {},
        shared = true },
    },
  },
  parts = {
    keys = {
      { "upload_record", { "repo", "id" }, "what is known of an upload", shared = true },
      { "upload_part", { "repo", "id", "part" }, "a part of an upload", shared = true },
    },
    prefixes = {
      { "upload", { "repo", "id" }, "everything about an upload",
        { "upload_record", "upload_part" }, shared = true },
      { "upload_sessions", { "repo" }, "all uploads of a repository, each below its id",
        { "upload", "upload_record", "upload_part" }, optional = true, shared = true },
    },
  },
}

local function joined(...)
  local all = {}
  for _, list in ipairs { ... } do
    for _, one in ipairs(list) do all[#all + 1] = one end
  end
  return all
end

-- By the name of a function the prefixes that hold its keys.
local function holders(prefixes)
  local found = setmetatable({}, { __index = function() return {} end })
  for _, of in ipairs(prefixes) do
    for _, name in ipairs(of[4]) do
      local list = rawget(found, name) or {}
      found[name] = list
      list[#list + 1] = of
    end
  end
  return found
end

-- What is needed of a layout of these two forms:
--   keys, prefixes   lists as above
--   own              the keys of its form
--   holders          by the name of a function the prefixes that hold its keys
--   values           strings that it has to have: what they are by their names
--   meanings         by the name of a function what `meaning` says that its keys are
--   relations        by the name of a function another one that makes the same of its arguments
function M.of(layout)
  local form, uploads = FORMS[layout.form or "links"], UPLOADS[layout.uploads or "append"]
  local values = {
    root = "the prefix of all its keys", marker = "the entry that makes a name a repository",
    reserved = "the character that its own entries begin with",
  }
  for name, what in pairs(form.values) do values[name] = what end
  local keys = joined(KEYS, form.keys, uploads.keys)
  local prefixes = joined(PREFIXES, form.prefixes, uploads.prefixes)
  return { keys = keys, own = form.keys, prefixes = prefixes, holders = holders(prefixes),
    values = values, meanings = form.meanings, relations = form.relations }
end

return M
