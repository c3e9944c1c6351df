-- SPDX-License-Identifier: Apache-2.0
--
-- gate.ready: the application that a load balancer asks whether to send requests here. Every store
-- is asked something small that needs its disk or server, all at once, for a bounded time. One that
-- did not answer is not asked again for a while: each question left behind waits in its lane.
local apps = require "tidegate.app"
local check = require("tidegate.check").check
local core = require "tidegate.core"
local err = require "tidegate.error"
local json = require "tidegate.json"
local reply = require "tidegate.reply"
local store = require "tidegate.store"
local task = require "tidegate.task"

local M = {}

local REST_S = 5
local OPTIONS = { timeout = { "duration", default = 2, min = 0.01, max = 60 } }
local LOOK = { delimiter = true, limit = 1 }
local HEADERS = { ["Cache-Control"] = "no-store" }

local function look(one)
  one:list("", LOOK)
end

-- Why the store does not answer, or nil.
local function failure(one, left, resting)
  local known = resting[one]
  if known and core.now() < known then
    return "TIMEOUT"
  end
  local asked = task.spawn(err.try, look, one)
  return function()
    local ok, got, e = pcall(asked.wait, asked, math.max(left(), 0.001))
    e = not ok and got or e
    if not e then
      return nil
    elseif err.is(e) and e.name == "TIMEOUT" then
      resting[one] = core.now() + REST_S
      asked:cancel()
    elseif not err.is(e) or e.name == "CANCELLED" then
      error(e, 0)
    end
    return e.name
  end
end

local function ask_stores(timeout, resting, failed)
  local due = core.now() + timeout
  local asked = {}
  local function left()
    return due - core.now()
  end
  for i, one in ipairs(store.named()) do
    asked[i] = failure(one.store, left, resting)
  end
  for i, one in ipairs(store.named()) do
    local why = asked[i]
    if type(why) == "function" then
      why = why()
    end
    if why then
      failed[#failed + 1] = { part = "store", kind = one.kind, number = i, why = why }
      core.log("warn", "a store is not ready", { store = core.store_id(one.store.box), why = why })
    end
  end
end

-- An application that answers 200 when requests are welcome, else 503 and why not.
function M.app(path, options)
  if type(path) ~= "string" then
    error("gate.ready: a path is expected", 2)
  end
  local o = check(options or {}, OPTIONS, "gate.ready")
  local resting = {}
  return apps.new({ prefix = path }):get("/", function()
    local failed = {}
    if core.draining() then
      failed[1] = { part = "gateway", why = "DRAINING" }
    else
      ask_stores(o.timeout, resting, failed)
    end
    return reply.new(#failed == 0 and 200 or 503,
      { ready = #failed == 0, failed = json.array(failed) }, HEADERS)
  end)
end

return M
