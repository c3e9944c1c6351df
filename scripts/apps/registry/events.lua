-- SPDX-License-Identifier: Apache-2.0
--
-- Events: the registry's option `on` names functions that hear of what has changed. They are
-- called when the change is durable, beside the request, so that a slow one delays no client:
-- in the order of the changes, one at a time in each worker. What one raises goes to the log.
-- They are told at most once: what the queue has no room for, or what is left of it when the
-- gateway stops, is a line in the log.
--
--   e.repo, e.user, e.id   the repository, the user and the id of the request
--   e.at                   when, in seconds since 1970
--   e.digest, e.tag, e.type, e.size, e.from   where they apply
local checks = require "tidegate.check"
local gate = require "tidegate"

local QUEUE_MAX = 1000 -- events of a worker that wait

local NAMES = {
  ["manifest.pushed"] = true,
  ["manifest.deleted"] = true,
  ["tag.deleted"] = true,
  ["blob.pushed"] = true,
  ["blob.mounted"] = true,
}

local M = {}

local function log(message, name, e, why)
  gate.log.error(message, { event = name, repo = e.repo, digest = e.digest, tag = e.tag,
    why = why })
end

-- Raises a string unless the option is one that can be heard.
function M.check(on)
  for name, f in pairs(on) do
    if not NAMES[name] then
      local known = {}
      for other in pairs(NAMES) do known[#known + 1] = other end
      table.sort(known)
      error(("option 'on' knows no '%s'%s (there are %s)"):format(tostring(name),
        checks.hint(name, NAMES), table.concat(known, ", ")), 0)
    end
    if type(f) ~= "function" then
      error(("option 'on': '%s' must be a function"):format(name), 0)
    end
  end
end

-- Returns emit(q, name, e), which completes e and queues it.
function M.new(on)
  local queue, first, last = {}, 1, 0
  local runs = false

  local function tell_all()
    while first <= last do
      local event = queue[first]
      local told, e = gate.try(function()
        gate.spawn(on[event.name], event.e):wait() -- a task of its own: whatever happens in it
        return true
      end)
      queue[first] = nil
      first = first + 1
      if not told then log("an event's function failed", event.name, event.e, e.message) end
    end
  end

  local function run()
    local ok = pcall(tell_all)
    runs = false
    if ok then return end
    for i = first, last do
      log("event lost", queue[i].name, queue[i].e, "the gateway stops")
      queue[i] = nil
    end
    first = last + 1
  end

  return function(q, name, e)
    if not on[name] then return end
    e.repo, e.user, e.id, e.at = e.repo or q.repo, q.user, q.id, gate.now()
    if last - first + 1 >= QUEUE_MAX then
      log("event lost", name, e, "too many wait")
      return
    end
    last = last + 1
    queue[last] = { name = name, e = e }
    if runs then return end
    runs = gate.try(function()
      gate.after(0, run)
      return true
    end) or false
  end
end

return M
