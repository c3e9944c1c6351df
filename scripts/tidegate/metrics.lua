-- SPDX-License-Identifier: Apache-2.0
--
-- gate.metrics: the application that Prometheus asks; gate.counter, gate.gauge and gate.histogram:
-- what scripts count.
local apps = require "tidegate.app"
local check = require("tidegate.check").check
local core = require "tidegate.core"
local err = require "tidegate.error"
local reply = require "tidegate.reply"

local M = {}

local FORMAT = "text/plain; version=0.0.4; charset=utf-8"
local LABELS_MAX = 4

local PLAIN = {
  help = { "string", default = "" },
  labels = "table",
  most = { "integer", default = 100, min = 1, max = 10000 },
}
local HISTOGRAM = { help = PLAIN.help, labels = "table", most = PLAIN.most, buckets = "table" }
local BUCKETS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }

local WHY = {
  EXISTS = "another metric has this name, or had it with other labels since the start",
  INVALID = "the name, the labels or the buckets are not what Prometheus allows",
  NO_SPACE = "too many metrics",
}

-- An application that answers with all metrics.
function M.app(path)
  if type(path) ~= "string" then
    error("gate.metrics: a path is expected", 2)
  end
  return apps.new({ prefix = path }):get("/", function()
    local text = err.check(core.result(core.metrics_text()))
    return reply.new(200, text, { ["Content-Type"] = FORMAT })
  end)
end

-- The values of the labels, in the family's order.
local function values(self, labels, where)
  local names, out = self.labels, {}
  labels = labels or {}
  for i, name in ipairs(names) do
    local value = labels[name]
    if type(value) ~= "string" and type(value) ~= "number" then
      error(("%s: the label '%s' is missing"):format(where, name), 3)
    end
    out[i] = value
  end
  for name in pairs(labels) do
    if not self.known[name] then
      error(("%s: there is no label '%s'"):format(where, tostring(name)), 3)
    end
  end
  return out[1], out[2], out[3], out[4]
end

local function number(value, default, where)
  if value == nil then
    value = default
  end
  if type(value) ~= "number" then
    error(where .. ": a number is expected", 3)
  end
  return value
end

local Counter, Gauge, Histogram = {}, {}, {}
Counter.__index, Gauge.__index, Histogram.__index = Counter, Gauge, Histogram

function Counter:add(by, labels)
  by = number(by, 1, "counter:add")
  if by < 0 or by ~= by then
    error("counter:add: a counter never goes back", 2)
  end
  core.metric_change(self.family, "add", by, values(self, labels, "counter:add"))
end

function Gauge:add(by, labels)
  core.metric_change(self.family, "add", number(by, 1, "gauge:add"),
    values(self, labels, "gauge:add"))
end

function Gauge:set(value, labels)
  core.metric_change(self.family, "set", number(value, nil, "gauge:set"),
    values(self, labels, "gauge:set"))
end

function Histogram:observe(value, labels)
  core.metric_change(self.family, "observe", number(value, nil, "histogram:observe"),
    values(self, labels, "histogram:observe"))
end

local function maker(kind, schema, class)
  local where = "gate." .. kind
  return function(name, options)
    local o = check(options or {}, schema, where)
    if type(name) ~= "string" or name:find "^tidegate_" or name:find "^process_" then
      error(where .. ": a name is expected, which does not begin with tidegate_ or process_", 2)
    end
    if core.in_task() then
      error(where .. ": metrics are named while the script loads", 2)
    end
    local labels, known = o.labels or {}, {}
    for _, label in ipairs(labels) do
      known[label] = true
    end
    if #labels > LABELS_MAX then
      error(("%s: at most %d labels"):format(where, LABELS_MAX), 2)
    end
    local ok, family, why = pcall(core.metric, kind, name, o.help, labels,
      kind == "histogram" and (o.buckets or BUCKETS) or nil, o.most)
    if not ok or not family then
      error(("%s: '%s': %s"):format(where, name, ok and WHY[why] or WHY.INVALID), 2)
    end
    return setmetatable({ family = family ~= true and family or nil, labels = labels,
      known = known }, class)
  end
end

M.counter = maker("counter", PLAIN, Counter)
M.gauge = maker("gauge", PLAIN, Gauge)
M.histogram = maker("histogram", HISTOGRAM, Histogram)

return M
