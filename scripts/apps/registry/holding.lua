-- SPDX-License-Identifier: Apache-2.0
--
-- How many bytes a repository holds: the contents of its blobs and manifests, each once, whoever
-- else owns them, too. What is counted is in the store; the count is kept in memory that all
-- workers share:
--
--   n  the last count: how many bytes, the sum of changes when it began, when, how long it took
--   c  the sum of all changes that this process has made since it began to count
--   p  bytes that are on their way, and not in the store yet
--
-- So what is used is n + (c now - c then) + p. A change that falls into a count may be in both, and
-- is too much until the next one, but none is missing. What other gateways do shows when it is
-- counted again, and so does what was lost when the memory was full.
local gate = require "tidegate"

local LOOSE = { age = 60, factor = 100 } -- a count is good for so many seconds, and this times
local STRICT = { age = 1, factor = 10 } --  as long as it took: counting takes at most 1 or 10 %
local COUNTING_TTL = "60s"

local known = gate.shared("registry.holding", { size = "1m" })

local M = { LOOSE = LOOSE, STRICT = STRICT }

local function key_of(reg, repo)
  return reg.id .. "|" .. repo
end

local function sizes_below(reg, prefix)
  local sum, after, more = 0, nil, true
  while more do
    local page
    page, more = reg.store:list(prefix, { after = after })
    for _, entry in ipairs(page) do
      local digest = reg.layout.linked(entry.name)
      local blob = digest and reg.store:stat(reg.layout.blob(digest))
      sum = sum + (blob and blob.size or 0)
      after = entry.name
    end
  end
  return sum
end

local function count(reg, repo)
  local key, began = key_of(reg, repo), gate.now()
  local changes = known:incr("c" .. key, 0)
  local sum = sizes_below(reg, reg.layout.layers(repo))
    + sizes_below(reg, reg.layout.revisions(repo))
  known:set("n" .. key, ("%.0f %.0f %.3f %.3f"):format(sum, changes, began, gate.now() - began))
end

-- What is known, and whether it is good enough.
local function look(key, need, changes)
  local text = known:get("n" .. key)
  changes = changes or known:get("c" .. key)
  if not text or not changes then return nil, false end
  local sum, before, at, took = text:match("^(%d+) (-?%d+) ([%d.]+) ([%d.]+)$")
  local age = gate.now() - tonumber(at)
  local used = tonumber(sum) + changes - tonumber(before)
  return used, age >= 0 and age <= math.max(need.age, need.factor * tonumber(took))
end

-- The bytes that the repository holds. One task counts; the others go by the last
-- count meanwhile, if there is one.
--
-- `changes` is what M.expect has returned: then what was done since is left out.
function M.of(reg, repo, need, changes)
  local key = key_of(reg, repo)
  local used, is_good = look(key, need, changes)
  if is_good then return used end
  local mine = known:add("l" .. key, true, COUNTING_TTL)
  if used and not mine then return used end
  count(reg, repo)
  if mine then known:delete("l" .. key) end
  return (look(key, need, changes))
end

-- Bytes are on their way. Returns how many were before them, and the changes by then: what was on
-- its way and has arrived since is in the one or in the other, and never in none.
function M.expect(reg, repo, size)
  local key = key_of(reg, repo)
  local coming = known:incr("p" .. key, size) - size
  return coming, known:incr("c" .. key, 0)
end

-- They are not any more.
function M.forget(reg, repo, size)
  local key = "p" .. key_of(reg, repo)
  if known:incr(key, -size) <= 0 then known:delete(key) end
end

function M.coming(reg, repo)
  return known:get("p" .. key_of(reg, repo)) or 0
end

-- The store has changed by so many bytes.
function M.change(reg, repo, size)
  known:incr("c" .. key_of(reg, repo), size)
end

return M
