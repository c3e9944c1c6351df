-- SPDX-License-Identifier: Apache-2.0
--
-- `tidegate explain`: a request goes through the script's hooks and its handler, and what happens
-- on the way is noted: what rules decide (gate.decided), which keys of stores are asked for, which
-- other servers. It goes so far as nothing changes: before the first change of a store, before
-- the first bytes of a body that was not given, it is stopped, and it is said what would be next.
-- Stores are read-only besides, from below.
--
--   core.arguments()   { "json" or "", method, path, user or "", groups and "Name: value", each in
--                        lines, the body if there is one }
local core = require "tidegate.core"
local decision = require "tidegate.decision"
local err = require "tidegate.error"
local gate = require "tidegate"
local http = require "tidegate.http"
local json = require "tidegate.json"
local rehearsal = require "tidegate.rehearsal"
local serve = require "tidegate.serve"
local store = require "tidegate.store"
local task = require "tidegate.task"

local M = {}

local READS = { stat = true, open = true, read = true, list = true, url = true }
local QUIET = { GET = true, HEAD = true } -- methods of other servers that change nothing

local trail = {} -- what happened, in its order
local next_step -- what the request would do if it was not stopped there

local function note(entry)
  trail[#trail + 1] = entry
end

-- Unwinds like a client that leaves: no handler gets to see it as an error of its own.
local function stop(step)
  next_step = next_step or step
  err.raise("CANCELLED", "explained so far")
end

-- Every method of a store first tells what it is asked.
local function watch_stores()
  local methods = store.methods
  local stat = methods.stat
  for verb, f in pairs(methods) do
    if type(f) == "function" and verb ~= "at" and verb ~= "claim" then
      methods[verb] = function(self, first, ...)
        local key = type(first) == "string" and first or select(1, ...)
        local id, prefix = core.store_id(self.box)
        local entry = { store = id, verb = verb,
          key = prefix .. (type(key) == "string" and key or "") }
        if next_step or not READS[verb] and verb ~= "touch" then
          stop(entry)
        end
        note(entry)
        if verb == "touch" then
          return stat(self, first) ~= nil
        end
        return f(self, first, ...)
      end
    end
  end
end

local function watch_servers()
  local transfer = http.transfer
  function http.transfer(method, url, ...)
    local entry = { server = url:match("^[^?#]*"), verb = method }
    if next_step or not QUIET[method] then
      stop(entry)
    end
    note(entry)
    return transfer(method, url, ...)
  end
end

-- What is to happen later is not a part of the request.
local function watch_tasks()
  function gate.after(delay, f)
    task.seconds(delay, "gate.after")
    task.callable(f, "gate.after")
    note { later = core.place(f) }
  end
end

-- A body that nobody has: to look at it ends the request here.
local Missing = {}
function Missing.__index()
  return function()
    stop { body = true }
  end
end

local function arguments()
  local a = core.arguments()
  local headers, groups = {}, {}
  for name, value in a[6]:gmatch("([^:\n]+):[ \t]*([^\n]*)") do
    headers[name] = value
  end
  for group in a[5]:gmatch("[^\n]+") do
    groups[#groups + 1] = group
  end
  return { json = a[1] ~= "", method = a[2], path = a[3], headers = headers,
    user = a[4] ~= "" and rehearsal.user(a[4], groups) or nil, body = a[7] }
end

local HAS_BODY = { PUT = true, POST = true, PATCH = true }

local function prepare(o)
  local q = { method = o.method, path = o.path, headers = o.headers, user = o.user }
  if o.body then
    q.body, q.length = rehearsal.body(o.body), #o.body
  elseif HAS_BODY[o.method] then
    q.body = setmetatable({}, Missing)
  end
  return rehearsal.request(q)
end

-- The first error of a reply in the usual form.
local function first_error(answer)
  local doc = answer.status >= 400 and gate.try(json.decode, answer.body)
  local list = type(doc) == "table" and doc.errors
  local e = type(list) == "table" and list[1]
  return type(e) == "table" and e or {}
end

local function allowed(found, answer)
  for _, entry in ipairs(trail) do
    if entry.allowed == false then
      return false
    end
  end
  if not answer then
    return next_step ~= nil
  end
  return answer.status < 400 or answer.status == 404 and found
end

-- What an application knows of the rules behind the body (app:explain).
local function ask(app, q)
  local step = next_step
  next_step = nil
  for _, f in ipairs(app.explanations) do
    xpcall(f, core.failure, q)
  end
  next_step = step
end

local function names(list)
  local out = {}
  for key, value in pairs(type(list) == "table" and list or {}) do
    out[#out + 1] = tostring(type(key) == "number" and value or key)
  end
  table.sort(out)
  return out
end

local function look(o)
  local q = prepare(o)
  local app, handler, params, pattern = serve.find(q)
  decision.hear(function(rule, ok, why)
    note { rule = rule, allowed = ok, asked = ok ~= nil, why = why }
  end)
  watch_stores()
  watch_servers()
  watch_tasks()
  local answer = rehearsal.answer(q)
  if app and next_step and next_step.body then
    ask(app, q)
  end
  local e = answer and first_error(answer) or {}
  return {
    request = o.method .. " " .. o.path,
    application = app and (app.prefix ~= "" and app.prefix or "/"),
    route = handler and q.method .. " " .. pattern,
    handler = handler and core.place(handler),
    parameters = handler and params,
    user = { name = q.user.name, groups = json.array(names(q.user.groups)) },
    trail = json.array(trail),
    answer = answer and { status = answer.status, code = e.code, message = e.message },
    next = next_step,
    allowed = allowed(handler ~= nil, answer),
  }
end

-- -- in words --------------------------------------------------------------------------

local function step_text(s)
  if s.body then
    return "read the body (--body FILE gives one)"
  elseif s.store then
    return ("%s %s %s"):format(s.verb, s.store, s.key)
  end
  return ("%s %s"):format(s.verb, s.server)
end

local function entry_line(s)
  if s.rule then
    local said = not s.asked and "not asked" or s.allowed and "yes" or "no"
    return ("rule         %s: %s%s"):format(s.rule, said, s.why and ", " .. s.why or "")
  elseif s.later then
    return "later        " .. s.later
  end
  return (s.store and "store        " or "server       ") .. step_text(s)
end

local function user_text(user)
  local text = user.name == "" and "nobody" or user.name
  return #user.groups > 0 and ("%s (%s)"):format(text, table.concat(user.groups, ", ")) or text
end

local function answer_text(a)
  local text = tostring(a.status)
  if a.code then
    text = ("%s %s%s"):format(text, a.code, a.message and ": " .. a.message or "")
  end
  return text
end

local function lines_of(r)
  local lines = { "request      " .. r.request }
  local function add(form, ...)
    lines[#lines + 1] = form:format(...)
  end
  add("application  %s", r.application or "none")
  if r.route then
    add("route        %s  (%s)", r.route, r.handler)
    for _, name in ipairs(names(r.parameters)) do
      add("parameter    %s = %s", name, r.parameters[name])
    end
  else
    add("route        none")
  end
  add("user         %s", user_text(r.user))
  for _, entry in ipairs(r.trail) do
    lines[#lines + 1] = entry_line(entry)
  end
  add("%s", r.next and "next         " .. step_text(r.next) or "answer       "
    .. (r.answer and answer_text(r.answer) or "none"))
  add("result       %s", r.allowed and "allowed" or "refused")
  return lines
end

local function main()
  local o = arguments()
  local r, e = err.try(look, o)
  if not r then
    core.print("tidegate: " .. tostring(e) .. "\n")
    return 1
  end
  core.print((o.json and json.encode(r) or table.concat(lines_of(r), "\n")) .. "\n")
  return r.allowed and 0 or 1
end

-- The script is loaded.
function M.load()
  core.declare("main", main)
end

return M
