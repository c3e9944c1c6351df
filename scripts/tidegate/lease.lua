-- SPDX-License-Identifier: Apache-2.0
--
-- A lease: of the gateways that share a store one runs a job, and the others look on. It is
-- an object that is only ever written by put_if, so of two that want it one gets it:
--
--   { holder = who has run it last, ends = …, due = … }      seconds since 1970
--
-- `ends` is pushed on while the job runs, and is 0 afterwards; a gateway that dies with the
-- job leaves it behind, and when it has passed another one may run the job. `due` is when
-- the job begins again, so that gateways that come and go do not shift it. Both are times
-- of the gateways' own clocks: where these differ by more than HOLD_S, or a gateway stands
-- still for so long, two may run the job at once. A lease saves work; no safety rests on it.
local core = require "tidegate.core"
local err = require "tidegate.error"
local format = require "tidegate.format"
local json = require "tidegate.json"
local task = require "tidegate.task"

local M = {}

local HOLD_S, RENEW_S, LOOK_S = 60, 15, 1
local RECORD_MAX = 4096 -- bytes
local FORMAT = 1

-- The version of the record, and for how many seconds nobody else may run the job.
local function look(lease)
  local text, object = lease.store:read(lease.key, RECORD_MAX)
  local record = text and err.try(json.decode, text)
  if type(record) == "table" then
    format.check(record, FORMAT, lease.key)
  end
  if type(record) ~= "table" or type(record.ends) ~= "number"
    or type(record.due) ~= "number" then
    return object and object.etag or "", 0
  end
  return object.etag, math.max(record.ends, record.due) - core.now()
end

-- Writes the record over the version that is known, which is an error if it is not that
-- any more.
local function write(lease, ends)
  local text = json.encode { holder = lease.me, ends = ends, due = lease.due }
  lease.version = lease.store:put_if(lease.key, text, lease.version).etag
end

-- Waits for the job and keeps the lease meanwhile. When the lease is lost the job must end.
local function keep(lease, worker)
  while true do
    local _, e = err.try(worker.wait, worker, RENEW_S)
    if not e or e.name ~= "TIMEOUT" then
      return
    end
    local kept, why = err.try(function()
      write(lease, core.now() + HOLD_S)
      return true
    end)
    if not kept then
      core.log("warn", "a lease was lost, its job is cancelled", { why = why.message })
      worker:cancel()
      err.try(worker.wait, worker)
      return
    end
  end
end

-- Lets go of what is ours, whatever became of a write that was cut short: it may have been done,
-- and then nobody else knows the version. The store does.
local function give_back(lease)
  local text, object = lease.store:read(lease.key, RECORD_MAX)
  local record = text and err.try(json.decode, text)
  if type(record) == "table" and record.holder == lease.me and record.ends ~= 0 then
    lease.version, lease.due = object.etag, record.due
    write(lease, 0)
  end
end

-- Takes the lease, runs the job and lets go. False when another gateway was first.
local function hold(lease, f)
  local _, e = err.try(write, lease, core.now() + HOLD_S)
  if e and (e.name == "EXISTS" or e.name == "READONLY") then
    return false
  elseif e then
    error(e, 0)
  end
  keep(lease, task.spawn(f))
  err.try(write, lease, 0)
  return true
end

-- Returns in how many seconds to look again, or nil when the job has had its run.
local function attempt(lease, f)
  local wait
  lease.version, wait = look(lease)
  if wait > 0 then
    return math.min(math.max(wait, LOOK_S), lease.interval)
  end
  lease.due = core.now() + lease.interval
  local ok, e = pcall(hold, lease, f)
  if not ok then -- it is cancelled and cannot wait any more, so somebody else has to let go
    task.after(0, err.try, give_back, lease)
    error(e, 0)
  end
  return not e and LOOK_S or nil
end

-- f, made a run of the job `name` that happens on one gateway of those that name the store.
function M.shares(store, name, interval, f)
  local lease = { store = store, key = "tidegate/jobs/" .. name, interval = interval,
    me = core.uuid() }
  return function()
    local ok, again = xpcall(attempt, core.failure, lease, f)
    return ok and again or nil
  end
end

return M
