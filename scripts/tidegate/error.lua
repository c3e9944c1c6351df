-- SPDX-License-Identifier: Apache-2.0
--
-- Typed errors: what the world does wrong, as a table that knows its HTTP status.
local M = {}

local STATUS = {
  NOT_FOUND = 404, EXISTS = 409, DENIED = 403, INVALID = 400, RANGE = 416, NO_SPACE = 507,
  BUSY = 503, TIMEOUT = 503, CORRUPT = 500, UNSUPPORTED = 501, IO = 500, TOO_LARGE = 413,
  MISMATCH = 400, MALFORMED = 400, STALLED = 408, GONE = 400, CANCELLED = 500,
  UPSTREAM = 502, LATE = 504, READONLY = 405, TOO_MANY = 429,
}

local Error = {}
Error.__index = Error
Error.__metatable = false
Error.__tostring = function(e)
  return e.message and (e.code .. ": " .. e.message) or e.code
end

-- A typed error that is not raised yet; fields are added to it.
function M.new(name, message, status, fields)
  local e = fields or {}
  e.name = name
  e.status = status or STATUS[name] or 500
  e.code = e.code or name
  e.message = message
  e.typed = true
  return setmetatable(e, Error)
end

function M.raise(name, message, status, fields)
  error(M.new(name, message, status, fields), 0)
end

function M.is(e)
  return type(e) == "table" and rawget(e, "typed") == true
end

-- Raises an error for the client: its name is its code.
function M.fail(status, code, message, detail)
  if type(status) ~= "number" or status < 400 or status > 599 then
    error("gate.fail: the status must be from 400 to 599", 2)
  end
  if type(code) ~= "string" then
    error("gate.fail: the code must be a string", 2)
  end
  error(M.new(code, message, status, { detail = detail }), 0)
end

-- What a binding answered: true and results, or false and what M.new takes. Such an error says so:
-- a store that denies something is not a script that does.
function M.check(ok, ...)
  if ok then
    return ...
  end
  local e = M.new(...)
  e.world = true
  error(e, 0)
end

local function outcome(ok, e, ...)
  if ok then
    return e, ...
  end
  if M.is(e) and e.name ~= "CANCELLED" then
    return nil, e
  end
  error(e, 0)
end

-- What f returns, or nil and the typed error. Mistakes and cancellation pass through.
function M.try(f, ...)
  return outcome(pcall(f, ...))
end

return M
