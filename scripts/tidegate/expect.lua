-- SPDX-License-Identifier: Apache-2.0
--
-- `assert` of a policy's spec: assert(value, message), and assert.equal and its like. What fails
-- raises a message with the place of the call.
local checks = require "tidegate.check"
local json = require "tidegate.json"

local M = {}

local DEPTH = 64

-- A value in few words, tables with their names in order.
local function show(value, depth)
  depth = depth or 0
  if type(value) == "string" then
    return ("%q"):format(value)
  end
  if type(value) ~= "table" or value == json.null or depth > 8 then
    return tostring(value)
  end
  local keys, parts, listed = {}, {}, #value
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and type(a) ~= "table" and type(a) ~= "boolean" then
      return a < b
    end
    return type(a) < type(b)
  end)
  for _, key in ipairs(keys) do
    local at_end = type(key) == "number" and key >= 1 and key <= listed
    parts[#parts + 1] = (at_end and "" or tostring(key) .. " = ") .. show(value[key], depth + 1)
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function same(a, b, depth)
  if a == b then
    return true
  end
  if type(a) ~= "table" or type(b) ~= "table" or depth > DEPTH then
    return false
  end
  for key, value in pairs(a) do
    if not same(value, b[key], depth + 1) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

-- Raises at the caller of the function of `is` that calls this.
local function must(ok, message, form, ...)
  if ok then
    return
  end
  local said = form:format(...)
  error(message and message .. ": " .. said or said, 3)
end

local is = {}

function is.equal(wanted, got, message)
  must(wanted == got, message, "expected %s, got %s", show(wanted), show(got))
end

function is.same(wanted, got, message)
  must(same(wanted, got, 0), message, "expected %s, got %s", show(wanted), show(got))
end

function is.truthy(value, message)
  must(value, message, "expected what is true, got %s", show(value))
end

function is.falsy(value, message)
  must(not value, message, "expected nil or false, got %s", show(value))
end

function is.is_nil(value, message)
  must(value == nil, message, "expected nil, got %s", show(value))
end

-- Lua's patterns.
function is.matches(pattern, text, message)
  must(type(text) == "string" and text:find(pattern), message, "expected a text like %s, got %s",
    show(pattern), show(text))
end

-- The status of a reply; what the reply says is shown when it is another one.
function is.status(wanted, reply, message)
  local got = type(reply) == "table" and reply.status
  must(wanted == got, message, "expected status %s, got %s %s", show(wanted), show(got),
    type(reply) == "table" and show(reply.body) or "")
end

-- f raises; the text of what it raises is like the pattern.
function is.error(f, pattern, message)
  local ok, e = pcall(f)
  must(not ok, message, "expected an error")
  must(not pattern or tostring(e):find(pattern), message, "expected an error like %s, got %s",
    show(pattern), show(tostring(e)))
end

M.assert = setmetatable(is, {
  __call = function(_, value, message, ...)
    if not value then
      error(message or "assertion failed", type(message) == "string" and 2 or 0)
    end
    return value, message, ...
  end,
  __index = function(_, name)
    error(("assert has no '%s'%s"):format(tostring(name), checks.hint(name, is)), 2)
  end,
})

return M
