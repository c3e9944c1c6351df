-- SPDX-License-Identifier: Apache-2.0
--
-- gate.serve and the dispatcher: the function that every request's coroutine runs.
local apps = require "tidegate.app"
local claims = require "tidegate.claims"
local core = require "tidegate.core"
local err = require "tidegate.error"
local reply = require "tidegate.reply"
local request = require "tidegate.request"
local router = require "tidegate.router"

local M = {}

local served -- applications of every host, those with longer prefixes first
local listed -- what gate.serve was given
local hosts -- nil, or such lists by the name of a host; that of "*.x" is ".x"
local NONE = {}
local sub, byte = string.sub, string.byte

local function app_in(list, path)
  for i = 1, #list do
    local app = list[i]
    local n = #app.prefix
    local next_byte = byte(path, n + 1)
    if (next_byte == 47 or next_byte == nil) and sub(path, 1, n) == app.prefix then
      return app, n
    end
  end
  return nil
end

-- Those of the request's host come before those of every host.
local function app_for(q, path)
  if hosts then
    local name = q.host
    local app, n = app_in(hosts[name] or hosts[name:match "%..*"] or NONE, path)
    if app then
      return app, n
    end
  end
  return app_in(served, path)
end

local REFUSALS = {
  [400] = { "INVALID", "the path has a malformed escape" },
  [404] = { "NOT_FOUND", "nothing is at this path" },
  [405] = { "METHOD_NOT_ALLOWED", "this path is for other methods" },
}

local function refuse(status, allow)
  local code, message = unpack(REFUSALS[status])
  error(err.new(code, message, status, allow and { headers = { Allow = allow } } or nil), 0)
end

-- Lets the application's app:after see the reply, then hands it on.
local function finish(app, q, r, send)
  local later = app and app.later or NONE
  for i = 1, #later do
    local other = later[i](q, r)
    if other ~= nil then
      r = other
    end
    if not reply.is(r) then
      error("app:after must return a reply or nothing, it returned " .. type(r), 0)
    end
  end
  return send(q, r)
end

-- Runs hooks and handler and hands the reply on. Returns what must outlive the reply.
local function run(app, q, path, send)
  if not app then
    refuse(404)
  end
  local handler, params, allow = app.router:match(q.method, path)
  if not handler then
    refuse(params, allow)
  end
  q.params = params
  local hooks, r = app.hooks, nil
  for i = 1, #hooks do
    r = hooks[i](q)
    if r ~= nil then
      break
    end
  end
  if r == nil then
    r = handler(q)
  end
  if not reply.is(r) then
    error("a handler must return a reply, it returned " .. type(r), 0)
  end
  return finish(app, q, r, send)
end

-- headers of errors that say nothing else
local LATER = { ["Retry-After"] = 5 } -- seconds; of every 503
local READERS = { Allow = "GET, HEAD" } -- RFC 9110, 15.5.6: of every 405

local function default_error(_, e)
  return reply.new(e.status, { errors = { { code = e.code, message = e.message,
    detail = e.detail } } })
end

-- The application's own answer to an error, or the usual one.
local function excuse(app, q, e, send)
  q:note { code = e.code }
  local r = (app and app.on_error or default_error)(q, e)
  if not reply.is(r) then
    error("on_error must return a reply, it returned " .. type(r), 0)
  end
  local more = e.headers or e.status == 503 and LATER or e.name == "READONLY" and READERS
  if more then
    local headers = {}
    for name, value in pairs(more) do
      headers[name] = value
    end
    for name, value in pairs(r.headers or {}) do
      headers[name] = value
    end
    r = reply.new(r.status, r.body, headers)
  end
  return finish(app, q, r, send)
end

local function internal(q)
  return err.new("INTERNAL", "internal error, see the log for request " .. q.id, 500)
end

-- The head of the reply is gone, so no other can be sent: this one ends too early.
local function log_cut(e)
  if err.is(e) and e.name ~= "CANCELLED" then
    core.log("error", "reply cut", { why = tostring(e) })
  end
end

-- Answers a request by send(q, reply), which is called once unless it was cancelled.
local function answer(q, send)
  local path = q.path
  local app, n = app_for(q, path)
  q.prefix = app and app.prefix
  local ok, kept = xpcall(run, core.mistake, app, q, app and sub(path, n + 1), send)
  if ok then
    return kept
  end
  local e = kept
  if type(e) == "string" or type(e) == "table" and not err.is(e) then
    core.mistake(tostring(e)) -- what xpcall could not hand to its handler
  end
  if q.told then
    log_cut(e)
    return nil
  elseif not err.is(e) then
    e = internal(q)
  elseif e.name == "CANCELLED" then
    return nil
  end
  ok, kept = xpcall(excuse, core.mistake, app, q, e, send)
  if ok or q.told then
    return ok and kept or nil
  end
  return excuse(nil, q, internal(q), send)
end

M.answer = answer

local function text(value)
  return type(value) == "string" and value or nil
end

-- Tells C what was served to whom, for the access log and the metrics. A method is what a client
-- likes to write, unless it has led to a handler.
local function tell(q)
  local user = rawget(q, "user")
  core.about(q.box, q.prefix == "" and "/" or q.prefix,
    text(rawget(q, "action")) or rawget(q, "params") and q.method:lower(),
    type(user) == "table" and text(rawget(user, "name")) or nil)
end

local function dispatch(box)
  local method, path = core.request_line(box)
  local q = request.new(box, method, path)
  local kept = answer(q, reply.send)
  tell(q)
  return kept
end

-- Which application and which route a request meets: the application, its handler, the values
-- and the pattern, which includes the prefix; or what Router:match says instead of a handler.
function M.find(q)
  local app, n = app_for(q, q.path)
  if not app then
    return nil
  end
  local handler, params, pattern = app.router:match(q.method, sub(q.path, n + 1))
  return app, handler, params, handler and router.join(app.prefix, pattern) or pattern
end

local EVERY = { "" }

local function longer(a, b)
  return #a.prefix > #b.prefix
end

-- Adds the application to those of the host, "" for every one.
local function put(by_host, host, app)
  local list = by_host[host] or {}
  by_host[host] = list
  for _, other in ipairs(list) do
    if other.prefix == app.prefix then
      error(("gate.serve: two applications with the prefix '%s'%s"):format(app.prefix,
        host ~= "" and " on the host " .. host or ""), 3)
    end
  end
  list[#list + 1] = app
  table.sort(list, longer)
end

-- The list of every host, and the others by the names that requests are looked up with.
local function settle(by_host)
  local named
  for host, list in pairs(by_host) do
    if host ~= "" then
      named = named or {}
      named[(host:gsub("^%*", ""))] = list
    end
  end
  return by_host[""] or {}, named
end

-- Declares what is served. Load time only.
function M.serve(list)
  if type(list) ~= "table" or #list == 0 then
    error("gate.serve: a list of applications is expected", 2)
  end
  if served then
    error("gate.serve: called twice", 2)
  end
  local routes, all = {}, {}
  for i, app in ipairs(list) do
    if not apps.is(app) then
      error(("gate.serve: number %d is no application"):format(i), 2)
    end
    for _, host in ipairs(app.hosts or EVERY) do
      put(all, host, app)
      for _, line in ipairs(app.router:describe(host .. app.prefix)) do
        routes[#routes + 1] = line
      end
    end
  end
  served, hosts = settle(all)
  listed = list
  claims.seal()
  core.declare("routes", routes)
  core.declare("dispatch", dispatch)
end

-- What gate.serve was given; an empty list before.
function M.applications()
  return listed or NONE
end

return M
