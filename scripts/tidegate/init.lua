-- SPDX-License-Identifier: Apache-2.0
--
-- `require "tidegate"`: the public API, documented in docs/lua.md.
local app = require "tidegate.app"
local audit = require "tidegate.audit"
local closed = require "tidegate.closed"
local config = require "tidegate.config"
local core = require "tidegate.core"
local decision = require "tidegate.decision"
local err = require "tidegate.error"
local every = require "tidegate.every"
local file = require "tidegate.file"
local http = require "tidegate.http"
local json = require "tidegate.json"
local limit = require "tidegate.limit"
local password = require "tidegate.password"
local metrics = require "tidegate.metrics"
local ready = require "tidegate.ready"
local reply = require "tidegate.reply"
local serve = require "tidegate.serve"
local shared = require "tidegate.shared"
local space = require "tidegate.space"
local store = require "tidegate.store"
local task = require "tidegate.task"
local units = require "tidegate.units"

local LONG = 64 * 1024 -- bytes; longer texts are hashed on the pool

local gate = {
  config = config.config,
  serve = serve.serve,
  app = app.new,
  health = app.health,
  audit = audit.new,
  metrics = metrics.app,
  ready = ready.app,
  counter = metrics.counter,
  gauge = metrics.gauge,
  histogram = metrics.histogram,
  space = space.new,
  store = store.kinds,
  http = { get = http.get, request = http.request },
  reply = reply.new,
  file = file,
  shared = shared.new,
  limit = limit.new,
  spawn = task.spawn,
  after = task.after,
  every = every,
  sleep = task.sleep,
  fail = err.fail,
  decided = decision.decided,
  undecided = decision.undecided,
  try = err.try,
  json = { encode = json.encode, decode = json.decode, array = json.array,
    null = json.null },
  hmac = core.hmac,
  password = password,
  random = core.random,
  uuid = core.uuid,
  now = core.now,
  readonly = core.readonly,
  draining = core.draining,
  trial = core.trial,
  glob = core.glob,
  base64 = {},
  log = {},
}

function gate.env(name, default)
  local value = core.env(name)
  if value == nil then
    return default
  end
  return value
end

-- Waits when the text is long.
function gate.hash(algorithm, text)
  if type(text) == "string" and #text > LONG and core.in_task() then
    return err.check(core.result(core.hash_long(algorithm, text)))
  end
  return core.hash(algorithm, text)
end

function gate.size(value)
  return units.size(value) or err.raise("INVALID", "this is no size")
end

function gate.duration(value)
  return units.duration(value) or err.raise("INVALID", "this is no duration")
end

function gate.base64.encode(bytes, alphabet)
  return core.base64_encode(bytes, alphabet == "url")
end

function gate.base64.decode(text, alphabet)
  return core.base64_decode(text, alphabet == "url")
end

for _, level in ipairs { "debug", "info", "warn", "error" } do
  gate.log[level] = function(message, fields)
    return core.log(level, message, fields)
  end
end

for _, name in ipairs { "base64", "http", "json", "log" } do
  closed(gate[name], "gate." .. name)
end

return closed(gate, "gate")
