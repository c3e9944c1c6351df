-- SPDX-License-Identifier: Apache-2.0
--
-- A strict reader of Prometheus' text format 0.0.4: what it accepts, Prometheus does. parse(text)
-- returns the families by name: { type, help, samples }, a sample by its name and labels as they
-- are written. Whatever is not right raises an error.
local M = {}

local TYPES = { counter = true, gauge = true, histogram = true, summary = true, untyped = true }

local function number(text)
  if text == "+Inf" then return math.huge end
  if text == "-Inf" then return -math.huge end
  if text == "NaN" then return 0 / 0 end
  return assert(text:find "^%-?%d+%.?%d*e?[+-]?%d*$" and tonumber(text), "no number: " .. text)
end

-- 'a="x",b="y"' to a table; every byte is accounted for.
local function labels(text)
  local out, at = {}, 1
  while at <= #text do
    local name, from = text:match('^([%a_][%w_]*)="()', at)
    assert(name, "no label: " .. text)
    assert(out[name] == nil, "a label twice: " .. text)
    local value, i = {}, from
    while true do
      local c = text:sub(i, i)
      assert(c ~= "", "no end of a value: " .. text)
      if c == '"' then break end
      if c == "\\" then
        local escaped = text:sub(i + 1, i + 1)
        assert(escaped:find '^[\\"n]$', "no such escape: " .. text)
        value[#value + 1] = escaped == "n" and "\n" or escaped
        i = i + 1
      else
        value[#value + 1] = c
      end
      i = i + 1
    end
    out[name] = table.concat(value)
    at = i + 1
    if at <= #text then
      assert(text:sub(at, at) == ",", "no comma: " .. text)
      at = at + 1
    end
  end
  return out
end

local function family_of(families, name)
  local f = families[name]
  if f then return f, "" end
  local base, part = name:match "^(.*)(_[a-z]+)$"
  f = base and families[base]
  assert(f and f.type == "histogram" and (part == "_bucket" or part == "_sum" or part == "_count"),
    "a sample of no family: " .. name)
  return f, part
end

local function check_histogram(name, f)
  local series = {}
  for _, s in ipairs(f.list) do
    local le = s.labels.le
    s.labels.le = nil
    local key = {}
    for label, value in pairs(s.labels) do key[#key + 1] = label .. "=" .. value end
    table.sort(key)
    key = table.concat(key, ",")
    series[key] = series[key] or { last = -math.huge, count = 0 }
    local one = series[key]
    if s.part == "_bucket" then
      local bound = number(assert(le, "a bucket without le"))
      assert(bound > one.last and s.value >= one.count, name .. ": buckets go back")
      one.last, one.count = bound, s.value
    else
      one[s.part] = s.value
    end
  end
  for _, one in pairs(series) do
    assert(one.last == math.huge and one._sum and one._count == one.count,
      name .. ": a histogram that is not whole")
  end
end

function M.parse(text)
  local families, seen, current = {}, {}, nil
  assert(text:sub(-1) == "\n", "the last line has no end")
  for line in text:gmatch "([^\n]*)\n" do
    assert(not line:find "[%z\1-\31\127]", "a control character: " .. line)
    local help_of, help = line:match "^# HELP ([%a_:][%w_:]*) (.*)$"
    local type_of, kind = line:match "^# TYPE ([%a_:][%w_:]*) (%l+)$"
    if help_of then
      assert(not families[help_of], "HELP twice, or after TYPE: " .. help_of)
      assert(not help:gsub("\\[\\n]", ""):find("\\", 1, true), "HELP is not escaped: " .. help)
      families[help_of] = { help = help, samples = {}, list = {} }
      current = help_of
    elseif type_of then
      assert(TYPES[kind] and current == type_of and not families[type_of].type, line)
      families[type_of].type = kind
    else
      local name, rest = line:match "^([%a_:][%w_:]*)(.*)$"
      assert(name, "no sample: " .. line)
      local inside, value = rest:match "^{(.*)} (%S+)$"
      value = value or rest:match "^ (%S+)$"
      assert(value, "no sample: " .. line)
      local f, part = family_of(families, name)
      assert(families[current] == f, "a sample outside of its group: " .. line)
      local key = name .. (inside and "{" .. inside .. "}" or "")
      assert(not seen[key], "a sample twice: " .. key)
      seen[key] = true
      f.samples[key] = number(value)
      f.list[#f.list + 1] = { part = part, labels = labels(inside or ""), value = number(value) }
      assert(f.type ~= "counter" or number(value) >= 0, "a counter below 0: " .. line)
    end
  end
  for name, f in pairs(families) do
    assert(f.type, "no TYPE: " .. name)
    if f.type == "histogram" then check_histogram(name, f) end
  end
  return families
end

return M
