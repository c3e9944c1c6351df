-- SPDX-License-Identifier: Apache-2.0
-- luacheck: read globals fuzz
--
-- What must be true of any text: it is refused by an error that is the client's, or its value can
-- be encoded, and is the same afterwards; it fits the schema that says just what it is; and any
-- schema either fits or names a place that is there.
local json = require "tidegate.json"
local schema = require "tidegate.schema"

local NAMES = { "a", "b?", "a/b~", "name", "tags?", "" }
local SCALARS = { "string", "number", "integer", "boolean", "any" }

-- The schema that the bytes of a recipe from `at` on say; and where they go on.
local function cook(recipe, at)
  local byte = recipe:byte(at)
  if not byte then return "any", at end
  at = at + 1
  local kind = byte % 7
  if kind < 5 then return SCALARS[kind + 1], at end
  if kind == 5 then
    local inner
    inner, at = cook(recipe, at)
    return { array = inner }, at
  end
  local members = {}
  for i = 1, math.floor(byte / 7) % 4 do
    local name = NAMES[(byte + i) % #NAMES + 1]
    members[name], at = cook(recipe, at)
  end
  return { object = members, open = byte >= 128 }, at
end

-- The schema that says what a value is.
local function shape(value)
  if value == json.null then return "any" end
  if type(value) ~= "table" then return type(value) end
  if json.is_array(value) then
    local first = value[1] ~= nil and shape(value[1]) or "any"
    for i = 2, #value do
      if schema.fault(value[i], first, json.is_array) then return { array = "any" } end
    end
    return { array = first }
  end
  local members = {}
  for name, inner in pairs(value) do
    if name:sub(-1) == "?" then return { object = {}, open = true } end -- it would mean another
    members[name] = shape(inner)
  end
  return { object = members }
end

-- Follows a pointer (RFC 6901); the last step may be the name of what is missing.
local function follow(value, pointer)
  for step in pointer:gmatch "/([^/]*)" do
    assert(type(value) == "table", "a pointer into nothing")
    local name = step:gsub("~1", "/"):gsub("~0", "~")
    if json.is_array(value) then value = value[tonumber(name) + 1] else value = value[name] end
  end
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  if json.is_array(a) ~= json.is_array(b) then return false end
  for k, v in pairs(a) do
    if not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

local function judge(recipe, text)
  local ok, value = pcall(json.decode, text)
  if not ok then
    assert(type(value) == "table" and value.code == "INVALID" and value.status == 400, value)
    assert(value.position >= 0 and value.position <= #text + 1, "a position outside")
    return
  end
  local again = json.encode(value)
  local back = json.decode(again)
  assert(same(value, back), again)
  assert(json.encode(back) == again, again)
  assert(schema.fault(value, shape(value), json.is_array) == nil, again)
  local fault = schema.fault(value, cook(recipe, 1), json.is_array)
  if fault then follow(value, fault) end
end

-- a typed error is a table, which the fuzzer could not show
fuzz(function(recipe, text)
  local ok, why = pcall(judge, recipe, text)
  if not ok then error(tostring(why), 0) end
end)
