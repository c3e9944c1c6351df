-- SPDX-License-Identifier: Apache-2.0
--
-- The chore "usage": how many bytes each repository holds, and how many of them would go with it.
-- By one walk over all names: blobs tell their sizes, and links who owns them.
local M = {}

local SHARED = 0 -- in `owner`: more than one

-- By what --by says, what a repository is counted as: itself, or the first part of its name.
local GROUPS = {
  repo = function(repo) return repo end,
  folder = function(repo) return repo:match "^[^/]+" end,
}

-- What is known while walking. A repository, or a folder of them, is a number: its row in `rows`.
local function new(by)
  return { group = GROUPS[by or "repo"], size = {}, owner = {}, rows = {}, seen = {}, deleted = {},
    n_deleted = 0 }
end

-- The row of a repository. The entries of one row come one after the other.
local function row_of(state, repo)
  repo = state.group(repo)
  local last = state.rows[#state.rows]
  if last and last.repo == repo then return last end
  local row = { repo = repo, bytes = 0, exclusive = 0, blobs = 0, manifests = 0, tags = 0,
    uploading = 0 }
  state.rows[#state.rows + 1] = row
  state.seen = {}
  return row
end

local ENTRIES = {}

function ENTRIES.blob(state, entry, digest)
  state.size[digest] = entry.size
end

local function own(state, row, digest)
  if state.seen[digest] then return end
  state.seen[digest] = true
  local size = state.size[digest]
  if not size then return end -- the link of another algorithm: the SHA-256 has one, too
  row.bytes = row.bytes + size
  row.blobs = row.blobs + 1
  state.owner[digest] = state.owner[digest] and SHARED or #state.rows
end

function ENTRIES.layer(state, _, repo, digest)
  own(state, row_of(state, repo), digest)
end

function ENTRIES.revision(state, _, repo, digest)
  local row = row_of(state, repo)
  row.manifests = row.manifests + 1
  own(state, row, digest)
end

function ENTRIES.tag(state, _, repo)
  local row = row_of(state, repo)
  row.tags = row.tags + 1
end

function ENTRIES.upload(state, entry, repo)
  local row = row_of(state, repo)
  row.uploading = row.uploading + entry.size
end

-- Comes before all repositories, the latest hour last.
function ENTRIES.trash(state, _, repo)
  repo = state.group(repo)
  state.deleted[repo] = (state.deleted[repo] or 0) + 1
  state.n_deleted = state.n_deleted + 1
end

-- Who owns what is known only at the end.
local function settle(state)
  local total = { repo = "(all)", bytes = 0, exclusive = 0, blobs = 0, manifests = 0, tags = 0,
    uploading = 0, unowned = 0, trash = state.n_deleted }
  for digest, size in pairs(state.size) do
    local owner = state.owner[digest]
    total.bytes = total.bytes + size
    total.blobs = total.blobs + 1
    if not owner then
      total.unowned = total.unowned + size
    elseif owner ~= SHARED then
      state.rows[owner].exclusive = state.rows[owner].exclusive + size
      total.exclusive = total.exclusive + size
    end
  end
  for _, row in ipairs(state.rows) do
    total.manifests, total.tags = total.manifests + row.manifests, total.tags + row.tags
    total.uploading = total.uploading + row.uploading
    row.trash = state.deleted[row.repo] or 0
  end
  return total
end

local COLUMNS = { "repo", "bytes", "exclusive", "blobs", "manifests", "tags", "uploading" }

-- c is what tidegate.chores describes.
function M.run(c, reg)
  local state, after, more = new(c.options.by), nil, true
  while more do
    local page
    page, more = reg.store:list(reg.layout.root, { after = after })
    for _, entry in ipairs(page) do
      local kind, a, b = reg.layout.meaning(entry.name)
      if ENTRIES[kind] then ENTRIES[kind](state, entry, a, b) end
      after = entry.name
    end
    c:at(after)
  end
  local total = settle(state)
  for _, row in ipairs(state.rows) do row.repo = reg.space.outer(row.repo) end
  table.sort(state.rows, function(a, b)
    if a.bytes ~= b.bytes then return a.bytes > b.bytes end
    return a.repo < b.repo
  end)
  state.rows[#state.rows + 1] = total
  c:table(COLUMNS, state.rows)
end

return M
