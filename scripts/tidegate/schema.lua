-- SPDX-License-Identifier: Apache-2.0
--
-- The schemas of q:json: "string", "number", "integer", "boolean", "any",
-- { array = S }, { object = { name = S, ["other?"] = S }, open = true }.
local M = {}

local SCALARS = { string = true, number = true, integer = true, boolean = true, any = true }

-- Raises a string unless s is a schema. For load time and for the first use.
function M.verify(s)
  if type(s) == "string" and SCALARS[s] then
    return
  end
  if type(s) == "table" and s.array then
    return M.verify(s.array)
  end
  if type(s) == "table" and type(s.object) == "table" then
    for _, inner in pairs(s.object) do
      M.verify(inner)
    end
    return
  end
  error("a schema must be a type's name, { array = … } or { object = { … } }", 0)
end

-- RFC 6901
local function pointer(path, name)
  return path .. "/" .. tostring(name):gsub("~", "~0"):gsub("/", "~1")
end

local function scalar(value, s)
  if s == "any" then
    return true
  end
  if s == "integer" then
    return type(value) == "number" and value % 1 == 0
  end
  return type(value) == s
end

local function members(value, s, path, is_array)
  for name, inner in pairs(s.object) do
    local key = name:match("^(.*)%?$")
    if key == nil or value[key] ~= nil then
      key = key or name
      if value[key] == nil then
        return pointer(path, key)
      end
      local fault = M.fault(value[key], inner, is_array, pointer(path, key))
      if fault then
        return fault
      end
    end
  end
  for key in pairs(s.open and {} or value) do
    if s.object[key] == nil and s.object[key .. "?"] == nil then
      return pointer(path, key)
    end
  end
  return nil
end

-- The JSON pointer of the first value that does not fit, or nil. is_array tells a list of
-- JSON from an object.
function M.fault(value, s, is_array, path)
  path = path or ""
  if type(s) == "string" then
    return not scalar(value, s) and path or nil
  end
  local listed = type(value) == "table" and is_array(value)
  if type(value) ~= "table" or listed ~= (s.array ~= nil) then
    return path
  end
  if s.object then
    return members(value, s, path, is_array)
  end
  for i, item in ipairs(value) do
    local fault = M.fault(item, s.array, is_array, pointer(path, i - 1))
    if fault then
      return fault
    end
  end
  return nil
end

return M
