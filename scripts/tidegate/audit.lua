-- SPDX-License-Identifier: Apache-2.0
--
-- Audit logs: who changed what. A change is a pair of records: `begun` is durable before the change
-- is made, so that nothing changes without one, and `done` or `failed` before it is answered. What
-- has no second record was cut off in between; whether it happened shows in the store.
local core = require "tidegate.core"
local err = require "tidegate.error"

local M = {}

local Audit = {}
Audit.__index = Audit

local FIRST = { "event", "change", "id", "user", "address", "action", "rule" }
local OWN = { time = true, generation = true }
for _, name in ipairs(FIRST) do
  OWN[name] = true
end

-- An audit log; a name is relative to the folder of the gateway's logs. Load time only.
function M.new(path)
  if type(path) ~= "string" or path == "" or path:find "%z" then
    error("gate.audit: a path is expected", 2)
  end
  return setmetatable({ box = core.audit(path) }, Audit)
end

function M.is(value)
  return getmetatable(value) == Audit
end

local function text(value)
  return type(value) == "string" and value ~= "" and value or nil
end

-- What is known of who asks; q may be nil.
local function about(q, event, change)
  local user = q and q.user
  return { event = event, change = change, id = q and q.id, address = q and q.address,
    user = type(user) == "table" and text(user.name) or nil,
    action = q and text(rawget(q, "action")), rule = q and text(rawget(q, "rule")) }
end

-- The record as a list of names and values by turns: what is always there, then the fields.
local function list_of(known, fields)
  local list, names = {}, {}
  for _, name in ipairs(FIRST) do
    local value = known[name]
    if name == "action" or name == "rule" then
      value = fields[name] or value
    end
    if value ~= nil then
      list[#list + 1], list[#list + 2] = name, value
    end
  end
  for name in pairs(fields) do
    if not OWN[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    list[#list + 1], list[#list + 2] = name, fields[name]
  end
  return list
end

local function check(fields, where)
  if type(fields) ~= "table" then
    error(where .. ": a table of fields is expected", 3)
  end
  for name, value in pairs(fields) do
    local kind = type(value)
    if type(name) ~= "string" or not name:find "^[a-z][a-z0-9_]*$" then
      error(where .. ": names of fields are of a-z, 0-9 and _", 3)
    elseif kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      error(("%s: '%s' must be a string, a number or a boolean"):format(where, name), 3)
    end
  end
end

local function write(self, known, fields)
  local ok, name, message = core.result(core.audit_write(self.box, list_of(known, fields)))
  if ok then
    return
  elseif name == "CANCELLED" or name == "TIMEOUT" then
    err.raise(name, message)
  end
  err.raise(name, "the audit log cannot be written: " .. tostring(message),
    name ~= "NO_SPACE" and name ~= "TOO_LARGE" and 503 or nil)
end

-- One record of something that has happened; returns when it is durable. Waits.
function Audit:write(q, fields)
  check(fields, "audit:write")
  write(self, about(q, "told"), fields)
end

local function change_id(q)
  if not q then
    return core.uuid()
  end
  local n = (rawget(q, "audited") or 0) + 1
  q.audited = n
  return q.id .. "." .. n
end

-- The change stands, whatever becomes of its second record; a cancelled task can write none.
local function conclude(self, known, event, fields, why)
  known.event = event
  local out = {}
  for name, value in pairs(fields) do
    out[name] = value
  end
  out.why = why
  local ok, e = pcall(write, self, known, out)
  if not ok and not (err.is(e) and e.name == "CANCELLED") then
    core.log("error", "an audit record has no end", { change = known.change, event = event,
      why = tostring(e) })
  end
end

local function finish(self, known, fields, ok, e, ...)
  if ok then
    conclude(self, known, "done", fields)
    return e, ...
  end
  local typed = err.is(e)
  if not (typed and e.name == "CANCELLED") then
    conclude(self, known, "failed", fields, typed and e.code or "INTERNAL")
  end
  error(e, 0)
end

-- What f(…) returns, which makes a change that the fields tell of. Waits.
function Audit:change(q, fields, f, ...)
  check(fields, "audit:change")
  if type(f) ~= "function" then
    error("audit:change: a function is expected, got " .. type(f), 2)
  end
  local known = about(q, "begun", change_id(q))
  write(self, known, fields)
  return finish(self, known, fields, xpcall(f, core.mistake, ...))
end

return M
