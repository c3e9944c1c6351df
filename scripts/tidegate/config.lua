-- SPDX-License-Identifier: Apache-2.0
--
-- gate.config: plain data about the process, declared before anything else.
local bounds = require "tidegate.bounds"
local check = require("tidegate.check").check
local core = require "tidegate.core"
local listen = require "tidegate.listen"

local M = {}

local MIB = 2 ^ 20
local SCRIPT_MIN = 4 * MIB

local CONFIG = {
  listen = { "any", default = { "127.0.0.1:5000" } },
  user = { "string" },
  workers = { "integer", min = 1, max = 64 },
  memory = { "size", min = 32 * MIB, max = 2 ^ 40 },
  io_threads = { "integer", default = 8, min = 1, max = 64 },
  limits = { fields = {
    head = { "duration", default = 10, min = 0.01 },
    idle = { "duration", default = 75, min = 0.01 },
    stall = { "duration", default = 30, min = 0.01 },
    response = { "duration", default = 3600, min = 0.01 },
    slice = { "duration", default = 0.2, min = 0.01, max = 60 },
    wait = { "duration", default = 60, min = 0.01 },
    script = { "size", min = SCRIPT_MIN, max = 2 ^ 40 },
    buffers = { "size", min = 2 * MIB, max = 2 ^ 40 },
    cache = { "size", min = 0, max = 2 ^ 40 },
    connections = { "integer", min = 1, max = 2 ^ 31 },
    body = { "size", min = 1 },
    per_address = { fields = bounds.ADDRESS },
  } },
  log = { fields = {
    level = { "string", default = "info", one_of = { "debug", "info", "warn", "error" } },
    format = { "string", default = "text", one_of = { "text", "json" } },
    file = "string",
    access = { "any", default = "-" },
    access_format = { "string", one_of = { "json", "combined" } },
  } },
}

local LEVEL = { debug = 0, info = 1, warn = 2, error = 3 }
local ACCESS = { off = 0, log = 1, json = 2, combined = 3 }

local closed

-- One number divides itself: half for bodies on their way, a quarter for all VMs, an eighth for
-- contents in memory. The last eighth is for what is not counted: threads, connections.
local function divide(o)
  local all = o.memory
  if not all then
    return { script = 128 * MIB, buffers = 256 * MIB, cache = 32 * MIB }
  end
  local script = math.floor(all / 4 / (o.workers or core.cores()))
  return { script = math.max(script, SCRIPT_MIN), buffers = math.floor(all / 2),
    cache = math.floor(all / 8) }
end

-- What is written of requests, as C counts it, and where if that is a file of its own.
local function access_of(log)
  local to = log.access
  if to == false then
    return ACCESS.off
  elseif to == "-" then
    return ACCESS.log
  end
  return ACCESS[log.access_format or "json"], to
end

local function check_log(log)
  for _, name in ipairs { "file", "access" } do
    local path = log[name]
    if path == "" or type(path) == "string" and path:find "%z" then
      error(("gate.config: 'log.%s' must be a path"):format(name), 3)
    end
  end
  if log.access ~= false and type(log.access) ~= "string" then
    error("gate.config: 'log.access' must be \"-\" (the log), a path, or false", 3)
  elseif log.access_format and (not log.access or log.access == "-") then
    error("gate.config: 'log.access_format' goes with a path in 'log.access' alone", 3)
  end
end

local function declare(o)
  local access, access_file = access_of(o.log)
  local limits, share = o.limits, divide(o)
  core.declare("config", {
    listen = o.listen, user = o.user, workers = o.workers, io_threads = o.io_threads,
    head = limits.head * 1e9, idle = limits.idle * 1e9, stall = limits.stall * 1e9,
    response = limits.response * 1e9, slice = limits.slice * 1e9, wait = limits.wait * 1e9,
    script = limits.script or share.script, buffers = limits.buffers or share.buffers,
    cache = limits.cache or share.cache, connections = limits.connections,
    log_level = LEVEL[o.log.level], log_json = o.log.format == "json" and 1 or 0,
    log_file = o.log.file, access = access, access_file = access_file,
  })
end

-- A store or an application was declared: gate.config comes too late from here on.
function M.close()
  closed = true
end

function M.config(options)
  local o = check(options, CONFIG, "gate.config")
  if closed then
    error("gate.config: must be the first call, and made once", 2)
  end
  o.listen = listen.read(o.listen, o.limits, 3)
  check_log(o.log)
  closed = true
  declare(o)
end

local unsaid = check({}, CONFIG, "gate.config")
unsaid.listen = listen.read(unsaid.listen, unsaid.limits, 2)
declare(unsaid)

return M
