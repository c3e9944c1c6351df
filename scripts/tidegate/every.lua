-- SPDX-License-Identifier: Apache-2.0
--
-- gate.every: jobs. Their schedule is C's affair; what is done when one is due is here.
local check = require("tidegate.check").check
local core = require "tidegate.core"
local lease = require "tidegate.lease"
local store = require "tidegate.store"
local task = require "tidegate.task"

local INTERVAL_MIN_S = 0.01

local OPTIONS = {
  on = { "string", default = "one", one_of = { "worker", "one", "gateway" } },
  jitter = { "duration", default = 0 },
  store = "table",
}

local Job = {}
Job.__index = Job

-- Whether the job has to come to an end; its next wait would say so, too.
function Job.cancelled()
  return core.cancelled()
end

-- f(job) again and again, never twice at the same time. Load time only.
return function(interval, name, options, f)
  local s = task.seconds(interval, "gate.every")
  if f == nil then
    options, f = nil, options
  end
  local o = check(options or {}, OPTIONS, "gate.every")
  task.callable(f, "gate.every")
  if s < INTERVAL_MIN_S then
    error('gate.every: the interval must be at least "10ms"', 2)
  end
  if type(name) ~= "string" or not name:find("^%w[%w_.-]*$") then
    error("gate.every: a name has letters, digits, '_', '-' and '.'", 2)
  end
  if (o.on == "gateway") ~= (o.store ~= nil and store.is(o.store)) then
    error("gate.every: 'store' must be a store, and goes with on = \"gateway\" alone", 2)
  end
  local job = setmetatable({ name = name }, Job)
  local function once()
    task.alone(f, job)
  end
  if o.on == "gateway" then
    once = lease.shares(o.store, name, s, once)
  end
  core.every(s, name, once, o.jitter, o.on == "worker")
end
