-- SPDX-License-Identifier: Apache-2.0
--
-- `tidegate spec`: the specs of a policy, docs/policies.md. This module comes before the script:
-- it gives it stores in memory, a clock that stands still, and no way to other servers. Then the
-- file of specs is loaded, and what it declares runs as one task.
--
--   core.arguments()   { the file, "real" or "" }
local check = require("tidegate.check").check
local core = require "tidegate.core"
local err = require "tidegate.error"
local expect = require "tidegate.expect"
local gate = require "tidegate"
local http = require "tidegate.http"
local image = require "tidegate.image"
local json = require "tidegate.json"
local rehearsal = require "tidegate.rehearsal"
local store = require "tidegate.store"
local units = require "tidegate.units"

local M = {}

local MONDAY_NOON = 1767614400 -- 2026-01-05 12:00 UTC: when every spec begins
local SETTLE_S, SETTLE_TURN_S = 2, 0.001
local PAGE = 1000

local FILE, REAL = core.arguments()[1], core.arguments()[2] == "real"

-- -- the world of the script -----------------------------------------------------------

local now = MONDAY_NOON
local stores = {} -- stand-ins, by the name in memory
local answer_http -- what other servers say, or nil

local function replace_stores()
  local make = store.make
  function store.make(kind, options)
    local names, parts = {}, { "spec", kind }
    for name in pairs(options) do
      names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
      parts[#parts + 1] = name .. "=" .. options[name]
    end
    local id = table.concat(parts, " ")
    local box = make("mem", { name = id })
    stores[id] = setmetatable({ box = box }, store.methods)
    return box
  end
end

local function replace_clock()
  local time, date = os.time, os.date
  function gate.now()
    return now
  end
  rawset(os, "time", function(t)
    return t and time(t) or math.floor(now)
  end)
  rawset(os, "date", function(form, t)
    return date(form, t or math.floor(now))
  end)
end

local function headers_of(flat)
  local headers = {}
  for i = 1, #flat, 2 do
    headers[flat[i]:lower()] = flat[i + 1]
  end
  return headers
end

local function replace_servers()
  function http.transfer(method, url, headers, body)
    if not answer_http then
      error(("%s %s: no other server can be reached in a spec; on_http(function(method, url, "
        .. "options) … end) stands for them"):format(method, url), 0)
    end
    if type(body) == "userdata" then
      body = err.check(core.result(core.text(body, 2 ^ 26)))
    end
    local a = answer_http(method, url, { headers = headers_of(headers), body = body }) or {}
    local text = type(a.body) == "table" and json.encode(a.body) or a.body or ""
    local got = {}
    for name, value in pairs(a.headers or {}) do
      got[name:lower()] = value
    end
    return a.status or 200, got, core.memory(text), #text
  end
end

-- -- the words of a spec ---------------------------------------------------------------

local suite = { befores = {}, name = nil } -- the describe that is being read
local tests = {} -- in their order

local words = { assert = expect.assert }

function words.describe(name, f)
  suite = { outer = suite, name = name, befores = {} }
  f()
  suite = suite.outer
end

function words.it(name, f)
  tests[#tests + 1] = { suite = suite, name = name, run = f }
end

function words.before_each(f)
  suite.befores[#suite.befores + 1] = f
end

-- "2026-11-22 03:00" or "2026-11-22T03:00:00Z", always UTC, to seconds since 1970.
local function read_time(text)
  local y, m, d, h, min, s = text:match("^(%d+)-(%d+)-(%d+)[ T](%d+):(%d+):?(%d*)Z?$")
  if not y then
    return nil
  end
  -- days since 1970 (the civil calendar, years counted from March)
  y, m = tonumber(y), tonumber(m)
  local year = m > 2 and y or y - 1
  local day = math.floor((153 * ((m + 9) % 12) + 2) / 5) + tonumber(d) - 1
  local days = year * 365 + math.floor(year / 4) - math.floor(year / 100)
    + math.floor(year / 400) + day - 719468
  return days * 86400 + tonumber(h) * 3600 + tonumber(min) * 60 + (tonumber(s) or 0)
end

function words.at(time)
  now = type(time) == "number" and time or type(time) == "string" and read_time(time)
    or error('at: seconds since 1970 or a text such as "2026-11-22 03:00" (UTC)', 2)
end

function words.advance(duration)
  now = now + (units.duration(duration) or error('advance: a duration such as "1h"', 2))
end

function words.on_http(f)
  answer_http = f
end

-- What a request has caused beside it (gate.after(0), events) comes to its end.
local function settle()
  local turns = SETTLE_S / SETTLE_TURN_S
  while core.others() > 0 and turns > 0 do
    gate.sleep(SETTLE_TURN_S)
    turns = turns - 1
  end
end

local REQUEST = {
  method = { "string", default = "GET" }, path = { "string", needed = true }, user = "any",
  groups = "table", headers = "table", body = "any", address = "string",
  tls = "table",
}

-- The document of a JSON reply, decoded when it is asked for.
local Reply = {}
function Reply.__index(reply, name)
  if name == "json" then
    return gate.json.decode(reply.body)
  end
  return nil
end

function words.request(options)
  local o = check(options, REQUEST, "request")
  local headers = o.headers or {}
  local text = o.body
  if type(text) == "table" then
    text = json.encode(text)
    headers = { ["content-type"] = "application/json" }
    for name, value in pairs(o.headers or {}) do
      headers[name:lower()] = value
    end
  end
  if text ~= nil and type(text) ~= "string" then
    error("request: 'body' must be a string or a table", 2)
  end
  local q = rehearsal.request { method = o.method, path = o.path, headers = headers,
    body = text and text ~= "" and rehearsal.body(text) or nil, length = text and #text,
    user = o.user and rehearsal.user(o.user, o.groups), address = o.address, tls = o.tls }
  local reply = rehearsal.answer(q)
  settle()
  return setmetatable(reply or error("the request was cancelled", 2), Reply)
end

function words.push(options)
  return image.push(words.request, options)
end

-- -- how they run ----------------------------------------------------------------------

local function clear_stores()
  for _, s in pairs(stores) do
    local page
    repeat
      page = s:list("", { limit = PAGE })
      for _, entry in ipairs(page) do
        s:remove(entry.name)
      end
    until #page == 0
  end
end

local function befores(list)
  if list.outer then
    befores(list.outer)
  end
  for _, f in ipairs(list.befores) do
    f()
  end
end

local function full_name(test)
  local name, s = test.name, test.suite
  while s.name do
    name, s = s.name .. " " .. name, s.outer
  end
  return name
end

-- true, or false and what went wrong.
local function run(test)
  now, answer_http = MONDAY_NOON, nil
  if not REAL then
    clear_stores()
  end
  local ok, e = xpcall(function()
    befores(test.suite)
    test.run()
  end, tostring)
  settle()
  return ok, e
end

local function main()
  local passed, failed = 0, 0
  for _, test in ipairs(tests) do
    local ok, e = run(test)
    passed, failed = passed + (ok and 1 or 0), failed + (ok and 0 or 1)
    core.print(("  %s  %s\n"):format(ok and "ok  " or "FAIL", full_name(test)))
    if not ok then
      core.print("        " .. tostring(e):gsub("\n", "\n        ") .. "\n")
    end
  end
  if #tests == 0 then
    core.print("  no `it` in this file\n")
  end
  return (failed > 0 or #tests == 0) and 1 or 0, passed, failed
end

-- The script is loaded: reads the specs.
function M.load()
  local world = setmetatable(words, { __index = _G, __newindex = function(_, name)
    error(("assignment to undeclared global '%s' (is a local missing?)"):format(name), 2)
  end })
  local chunk, wrong = core.load_file(FILE, world)
  if not chunk then
    error(wrong, 0)
  end
  chunk()
  core.declare("main", main)
end

if not REAL then
  replace_stores()
end
replace_clock()
replace_servers()

return M
