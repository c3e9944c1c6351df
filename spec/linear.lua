-- SPDX-License-Identifier: Apache-2.0
--
-- Is a history of one register linearizable? Is there an order of its operations, each at one
-- moment between its begin and its end, in which every read gives what was written last? The search
-- is Wing and Gong's, with Lowe's memory of states already seen: exponential at worst, quick for
-- what clients one after the other do.
--
-- An operation is { from, to, write = value } or { from, to, read = value }; values are strings,
-- and "" is what there was at the beginning.
local M = {}

local function key_of(done, value)
  local bytes = {}
  for i = 1, #done do bytes[i] = done[i] and "1" or "0" end
  return table.concat(bytes) .. value
end

-- The operations that may come next: those not yet done that begin before any other such one ends.
local function candidates(history, done)
  local earliest = math.huge
  for i, op in ipairs(history) do
    if not done[i] and op.to < earliest then earliest = op.to end
  end
  local found = {}
  for i, op in ipairs(history) do
    if not done[i] and op.from <= earliest then found[#found + 1] = i end
  end
  return found
end

-- True, or false and how many operations could be put in order at most.
function M.check(history)
  local done, seen, best = {}, {}, 0
  for i = 1, #history do done[i] = false end
  local function search(value, n)
    if n > best then best = n end
    if n == #history then return true end
    local key = key_of(done, value)
    if seen[key] then return false end
    seen[key] = true
    for _, i in ipairs(candidates(history, done)) do
      local op = history[i]
      if op.write or op.read == value then
        done[i] = true
        if search(op.write or value, n + 1) then return true end
        done[i] = false
      end
    end
    return false
  end
  return search("", 0), best
end

return M
