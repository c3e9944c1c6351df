-- SPDX-License-Identifier: Apache-2.0
--
-- Tasks beside requests: gate.spawn, gate.after, gate.sleep.
local core = require "tidegate.core"
local err = require "tidegate.error"
local units = require "tidegate.units"

local M = {}

local Task = {}
Task.__index = Task

-- Seconds, or an error at the caller of the caller.
function M.seconds(value, where)
  return units.duration(value)
    or error(where .. ': a duration is expected, such as "30s"', 3)
end

function M.callable(f, where)
  if type(f) ~= "function" then
    error(where .. ": a function is expected, got " .. type(f), 3)
  end
end

-- What core.wait hands on; a typed error goes with its text, in case nobody waits.
local function settle(ok, e, ...)
  if ok then
    return true, e, ...
  end
  return false, e, err.is(e) and tostring(e) or nil
end

local function run(f, ...)
  return settle(xpcall(f, core.mistake, ...))
end

-- A task that the running one may wait for; it is cancelled when that one ends.
function M.spawn(f, ...)
  M.callable(f, "gate.spawn")
  local box = core.spawn(run, f, ...)
  if not box then
    err.raise("BUSY", "too many tasks in the background")
  end
  return setmetatable({ box = box }, Task)
end

local function outcome(ok, e, ...)
  if ok then
    return e, ...
  end
  if err.is(e) then
    error(e, 0)
  end
  err.raise("INTERNAL", "a task failed, see the log", 500)
end

-- What its function returned, or raises what it raised. Once. After the timeout, if there is
-- one, TIMEOUT, and the task goes on.
function Task:wait(timeout)
  local s = timeout and M.seconds(timeout, "task:wait")
  return outcome(err.check(core.result(core.wait(self.box, s))))
end

function Task:cancel()
  core.cancel(self.box)
end

-- f(…) where nobody will ask how it went: its errors go to the log.
function M.alone(f, ...)
  xpcall(f, core.failure, ...)
end

-- f(…) later.
function M.after(delay, f, ...)
  local s = M.seconds(delay, "gate.after")
  M.callable(f, "gate.after")
  local n, args = select("#", ...), { ... }
  if not core.after(s, function() M.alone(f, unpack(args, 1, n)) end) then
    err.raise("BUSY", "too many timers or tasks in the background")
  end
end

function M.sleep(delay)
  err.check(core.result(core.sleep(M.seconds(delay, "gate.sleep"))))
end

return M
