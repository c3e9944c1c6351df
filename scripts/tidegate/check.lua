-- SPDX-License-Identifier: Apache-2.0
--
-- Options, checked the same way everywhere: an unknown key is an error that names the
-- nearest right one, at the caller's file and line.
--
-- A schema maps a name to a rule: a type's name ("string", "number", "integer", "boolean",
-- "function", "table", "size", "duration", "rate", "any"), or a table { type, default =, min =,
-- max =, one_of = {…}, needed = true }, or { fields = schema } for a table of options.
local units = require "tidegate.units"

local M = {}

-- How many letters must be inserted, removed or replaced to make b of a.
local function distance(a, b)
  local row = {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local corner = row[0]
    row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local cost = math.min(row[j] + 1, row[j - 1] + 1, corner + (same and 0 or 1))
      corner, row[j] = row[j], cost
    end
  end
  return row[#b]
end

-- The name in the table that is nearest to a wrong one, or nil when none is near.
function M.nearest(wrong, names)
  local best, least = nil, math.max(2, math.floor(#wrong / 2)) + 1
  for name in pairs(names) do
    local d = distance(wrong, name)
    if d < least or (d == least and best and name < best) then
      best, least = name, d
    end
  end
  return best
end

-- The same as the end of a message: ", did you mean 'x'?", or "".
function M.hint(wrong, names)
  local near = type(wrong) == "string" and M.nearest(wrong, names)
  return near and (", did you mean '%s'?"):format(near) or ""
end

local PLAIN = {} -- rules that are a type's name alone
for _, kind in ipairs { "string", "number", "integer", "boolean", "function", "table", "size",
  "duration", "rate", "any" } do
  PLAIN[kind] = { kind }
end

local READ = { size = units.size, duration = units.duration, rate = units.rate }
local ARTICLE = { integer = "an integer", any = "anything" }
local EXAMPLE = { size = ' such as "64m"', duration = ' such as "30s"',
  rate = ' such as "20/s" or "600/m"' }

local function typed(value, kind)
  if READ[kind] then
    return READ[kind](value)
  end
  local fits = kind == "any" or type(value) == kind
    or (kind == "integer" and type(value) == "number" and value % 1 == 0)
  if fits then
    return value
  end
  return nil
end

local function contains(list, value)
  for _, v in ipairs(list) do
    if v == value then
      return true
    end
  end
  return false
end

-- What was given instead: a text that was meant as one of these, else the type alone, for it may
-- be a secret.
local function given(value, is_word)
  if is_word and type(value) == "string" and #value < 40 then
    return (', it is "%s"'):format(value)
  end
  return ", it is " .. "a " .. type(value)
end

-- The value to use, or nil and what is wrong.
local function read(value, rule)
  local kind = rule[1]
  local got = typed(value, kind)
  if got == nil then
    return nil, "must be " .. (ARTICLE[kind] or "a " .. kind) .. (EXAMPLE[kind] or "")
      .. given(value, READ[kind])
  end
  if rule.one_of and not contains(rule.one_of, got) then
    return nil, 'must be "' .. table.concat(rule.one_of, '" or "') .. '"' .. given(value, true)
  end
  if rule.min and got < rule.min or rule.max and got > rule.max then
    return nil, ("must be from %s to %s"):format(rule.min or "-", rule.max or "-")
  end
  return got
end

local function walk(options, schema, where, level, path)
  if type(options) ~= "table" then
    error(("%s: %sa table of options is expected, got %s"):format(
      where, path ~= "" and path:sub(1, -2) .. ": " or "", type(options)), level)
  end
  for name in pairs(options) do
    if schema[name] == nil then
      error(("%s: unknown option '%s%s'%s"):format(where, path, tostring(name),
        M.hint(name, schema)), level)
    end
  end
  local out = {}
  for name, rule in pairs(schema) do
    local value = options[name]
    rule = PLAIN[rule] or rule
    if rule.fields then
      out[name] = walk(value == nil and {} or value, rule.fields, where, level + 1,
        path .. name .. ".")
    elseif value ~= nil then
      local got, wrong = read(value, rule)
      if wrong then
        error(("%s: '%s%s' %s"):format(where, path, name, wrong), level)
      end
      out[name] = got
    elseif rule.needed then
      error(("%s: '%s%s' is needed"):format(where, path, name), level)
    else
      out[name] = rule.default
    end
  end
  return out
end

-- A new table with the options as the schema reads them (sizes in bytes, durations in
-- seconds) and the defaults. `where` names the call in errors, which are raised at the
-- place that `level` says: 1 (default) is the caller of the function that calls check.
function M.check(options, schema, where, level)
  local out = walk(options, schema, where, (level or 1) + 3, "") -- no tail call: levels count
  return out
end

return M
