-- SPDX-License-Identifier: Apache-2.0
--
-- The query of a request, read and written, and the type of its body. Pure.
local M = {}

-- A decoded piece, or nil for a malformed escape.
local function decode(text, router_decode)
  return router_decode((text:gsub("%+", " ")))
end

-- { name = first value } and { name = { values } }; nil for a malformed escape.
function M.parse(text, router_decode)
  local first, lists = {}, {}
  for pair in text:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name, value = decode(name, router_decode), decode(value, router_decode)
    if not name or not value then
      return nil
    end
    if first[name] == nil then
      first[name] = value
      lists[name] = { value }
    else
      lists[name][#lists[name] + 1] = value
    end
  end
  return first, lists
end

-- "application/json" of "Application/JSON; charset=utf-8".
function M.type(header)
  local bare = header:match("^%s*([^;%s]+)")
  return bare and bare:lower()
end

local function encode(value)
  return (tostring(value):gsub("[^%w%-._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

-- The text of { name = value or list }, names in byte order; nil for what cannot be one.
function M.build(values)
  local names, parts = {}, {}
  for name in pairs(values) do
    if type(name) ~= "string" then
      return nil
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = values[name]
    for _, v in ipairs(type(value) == "table" and value or { value }) do
      if type(v) ~= "string" and type(v) ~= "number" then
        return nil
      end
      parts[#parts + 1] = encode(name) .. "=" .. encode(v)
    end
  end
  return table.concat(parts, "&")
end

return M
