-- SPDX-License-Identifier: Apache-2.0
--
-- The chore "verify": does all that is kept hold together? Every blob has the bytes that its name
-- says, every link leads to something, every manifest has its config and its layers. Nothing is
-- changed. All keys are visited in byte order, so a run that was stopped goes on at any key.
local blobs = require "apps.registry.blobs"
local gate = require "tidegate"
local links = require "apps.registry.forms.links"
local names = require "apps.registry.names"
local records = require "apps.registry.forms.records"
local references = require "apps.registry.references"
local trash = require "apps.registry.trash"

local MANIFEST_MAX = 4 * 1024 * 1024
local PIECE = 64 * 1024 * 1024 -- bytes hashed between two looks at the clock
local AT_ONCE = 4 -- keys

local M = {}

-- The digest of a blob, read in pieces so that the rate holds for large ones, too.
local function hash(c, store, key, size, algorithm)
  local states, at = nil, 0
  local got
  repeat
    local piece = store:open(key, { offset = at, size = math.min(PIECE, size - at) })
    if not piece then return nil end
    got = piece:into(nil, { hash = { algorithm }, states = states })
    states = got.states
    at = at + PIECE
    c:moved(got.size)
  until at >= size
  return got[algorithm]
end

local CHECKS = {}

function CHECKS.blob(c, reg, entry, digest)
  local algorithm, hex = digest:match "^([^:]+):(.*)$"
  if not names.digest(digest) then return c:found("foreign", { key = entry.name }) end
  local got, e = gate.try(hash, c, reg.store, entry.name, entry.size, algorithm)
  if e then
    c:found("unreadable", { key = entry.name, why = e.name })
  elseif got and got ~= hex then
    c:found("corrupt", { key = entry.name, size = entry.size, digest = algorithm .. ":" .. got })
  end
  c:count("blobs")
end

-- What a link names; nil, and said, when that is not there.
local function target_of(c, reg, entry)
  local target = links.read(reg, entry.name)
  if target == nil then
    c:found("damaged link", { key = entry.name })
  elseif not reg.store:stat(reg.layout.blob(target)) then
    c:found("dangling link", { key = entry.name, digest = target })
    target = nil
  end
  c:count("links")
  return target
end

function CHECKS.layer(c, reg, entry)
  target_of(c, reg, entry)
end

-- Has the repository all that the manifest needs? Another registry goes by its own list of layers.
local function check_manifest(c, reg, repo, digest, target)
  local text = reg.store:read(reg.layout.blob(target, repo), MANIFEST_MAX)
  local doc = text and gate.try(gate.json.decode, text)
  if not text then return end
  if type(doc) ~= "table" then
    return c:found("damaged manifest", { repo = repo, digest = digest })
  end
  local needed, wrong = gate.try(references.needed, doc)
  if not needed then
    return c:found("damaged manifest", { repo = repo, digest = digest, why = wrong.message })
  end
  for _, d in ipairs(needed) do
    if not blobs.has(reg, repo, d) then
      c:found("incomplete manifest", { repo = repo, digest = digest, missing = d })
    end
  end
end

function CHECKS.revision(c, reg, entry, repo, digest)
  local target = target_of(c, reg, entry)
  if target then check_manifest(c, reg, repo, digest, target) end
end

-- A tag, or a manifest that was pushed by digest, of the form "records".
function CHECKS.record(c, reg, entry, repo, name)
  local record = records.read(reg, entry.name)
  if not record then c:found("damaged record", { key = entry.name }) end
  for _, digest in pairs(record or {}) do
    if reg.store:stat(reg.layout.blob(digest, repo)) then
      check_manifest(c, reg, repo, digest, digest)
    else
      c:found("dangling tag", { repo = repo, tag = name, digest = digest })
    end
  end
  c:count("records")
end

function CHECKS.tag(c, reg, entry, repo, tag)
  local digest = links.read(reg, entry.name)
  if not digest then
    c:found("damaged link", { key = entry.name })
  elseif not reg.store:stat(reg.layout.revision(repo, digest)) then
    c:found("dangling tag", { repo = repo, tag = tag, digest = digest })
  end
  c:count("tags")
end

function CHECKS.trash(c, reg, entry)
  local deleted = trash.read(reg, { key = entry.name })
  if not deleted then
    c:found("damaged trash", { key = entry.name })
  elseif not reg.store:stat(reg.layout.blob(deleted.target)) then
    c:found("dangling trash", { key = entry.name, digest = deleted.target })
  end
  c:count("deleted")
end

local function check(c, reg, entry)
  local kind, a, b = reg.layout.meaning(entry.name)
  if CHECKS[kind] then CHECKS[kind](c, reg, entry, a, b) end
end

-- A page's keys, some at once.
local function check_page(c, reg, page)
  local at = 0
  local function work()
    while at < #page do
      at = at + 1
      check(c, reg, page[at])
    end
  end
  local tasks = {}
  for i = 1, math.min(AT_ONCE, #page) do tasks[i] = gate.spawn(work) end
  for _, task in ipairs(tasks) do task:wait() end
end

-- c is what tidegate.chores describes.
function M.run(c, reg)
  local after = c.options.from
  repeat
    local page, more = reg.store:list(reg.layout.root, { after = after, limit = 200 })
    check_page(c, reg, page)
    after = page[#page] and page[#page].name
    c:at(after)
  until not more
end

return M
