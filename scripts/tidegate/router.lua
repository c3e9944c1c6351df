-- SPDX-License-Identifier: Apache-2.0
--
-- Which handler answers a path. Pure; knows no request.
--
-- A pattern is a list of segments: literals, {name} for one segment and at most one
-- {name...} for one or more. Matching is done on raw segments; values are decoded
-- afterwards, so an encoded slash never separates. Of several patterns that match, more
-- literal segments win, then those without {name...}, then the one written first.
local M = {}

local find, sub, byte = string.find, string.sub, string.byte
local SLASH, PERCENT = byte "/", byte "%"

-- "/a/b" to { "a", "b" }, and whether there is an escape in it. What follows a prefix: an empty
-- text, as "/", has no segments. Byte by byte, which is compiled.
local function split(text)
  local out, n, from, encoded = {}, 0, 2, false
  if #text < 2 then
    return out, 0, false
  end
  for i = 2, #text do
    local c = byte(text, i)
    if c == SLASH then
      n = n + 1
      out[n] = sub(text, from, i - 1)
      from = i + 1
    elseif c == PERCENT then
      encoded = true
    end
  end
  out[n + 1] = sub(text, from)
  return out, n + 1, encoded
end

-- A decoded segment, or nil for a malformed escape.
function M.decode(text)
  if find(text, "%%$") or find(text, "%%[^%x]") or find(text, "%%%x$")
    or find(text, "%%%x[^%x]") then
    return nil
  end
  return (text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

-- A pattern as the matcher wants it; raises a string for what is none.
local function compile(pattern)
  if type(pattern) ~= "string" or byte(pattern) ~= 47 then
    error("a pattern must be a string that begins with /", 0)
  end
  local segments, n = split(pattern)
  local p = { pattern = pattern, n = n, literals = 0, names = {}, values = {}, methods = {} }
  local shape, seen = {}, {}
  for i, segment in ipairs(segments) do
    local name, dots = segment:match("^{([%a_][%w_]*)(%.*)}$")
    if name and (dots == "" or dots == "...") then
      if seen[name] then
        error(("pattern %s has {%s} twice"):format(pattern, name), 0)
      end
      if dots ~= "" and p.rest then
        error(("pattern %s has more than one {x...}"):format(pattern), 0)
      end
      seen[name] = true
      p.names[#p.names + 1] = { at = i, name = name }
      p.rest = dots ~= "" and i or p.rest
      shape[i] = dots ~= "" and "{...}" or "{}"
    elseif find(segment, "[{}]") then
      error(("pattern %s: {x} or {x...} must fill a whole segment"):format(pattern), 0)
    else
      p.values[i] = segment
      p.literals = p.literals + 1
      shape[i] = segment
    end
  end
  p.shape = table.concat(shape, "/")
  return p
end

-- Does p match the n segments? Literals are compared from the end, where paths differ.
local function fits(p, segments, n)
  local rest, m = p.rest, p.n
  if n ~= m and not (rest and n > m) then
    return false
  end
  local values, shift = p.values, n - m
  for i = m, 1, -1 do
    local value = values[i]
    if value and segments[rest and i > rest and i + shift or i] ~= value then
      return false
    end
  end
  return true
end

-- The values by name. nil for an empty one, which is no match; false for a malformed
-- escape.
local function params_of(p, names, segments, n, encoded)
  local params, rest, shift = {}, p.rest, n - p.n
  for k = 1, #names do
    local i = names[k].at
    local value
    if i == rest and shift > 0 then
      for j = i, i + shift do
        if segments[j] == "" then
          return nil
        end
      end
      value = table.concat(segments, "/", i, i + shift)
    else
      value = segments[rest and i > rest and i + shift or i]
    end
    if value == "" then
      return nil
    end
    if encoded then
      value = M.decode(value)
      if not value then
        return false
      end
    end
    params[names[k].name] = value
  end
  return params
end

local function before(a, b)
  if a.literals ~= b.literals then
    return a.literals > b.literals
  end
  if (a.rest ~= nil) ~= (b.rest ~= nil) then
    return b.rest ~= nil
  end
  return a.order < b.order
end

local Router = {}
Router.__index = Router

function M.new()
  return setmetatable({ list = {}, by_shape = {} }, Router)
end

-- Raises a string for a bad pattern and for the same shape and method twice.
function Router:add(method, pattern, handler)
  local p = compile(pattern)
  local known = self.by_shape[p.shape]
  if known and known.methods[method] then
    error(("%s %s has the same shape as %s"):format(method, pattern,
      known.methods[method].pattern), 0)
  end
  if not known then
    p.order = #self.list + 1
    self.by_shape[p.shape] = p
    self.list[p.order] = p
    table.sort(self.list, before)
    known = p
  end
  known.methods[method] = { handler = handler, pattern = pattern, names = p.names }
end

local function allow(list, segments, n)
  local seen, names = {}, {}
  for _, p in ipairs(list) do
    if fits(p, segments, n) and params_of(p, p.names, segments, n, false) then
      for method in pairs(p.methods) do
        seen[method] = true
      end
    end
  end
  if seen.GET then
    seen.HEAD = true
  end
  for method in pairs(seen) do
    names[#names + 1] = method
  end
  table.sort(names)
  return names[1] and table.concat(names, ", ")
end

-- path: what follows the prefix, "" or from a slash on. Returns the handler, the values and the
-- pattern; or nil, the status (404, 405, 400) and for 405 the methods that are allowed.
function Router:match(method, path)
  local segments, n, encoded = split(path)
  local list = self.list
  for i = 1, #list do
    local p = list[i]
    local route = p.methods[method] or method == "HEAD" and p.methods.GET
    if route and fits(p, segments, n) then
      local params = params_of(p, route.names, segments, n, encoded)
      if params then
        return route.handler, params, route.pattern
      elseif params == false then
        return nil, 400
      end
    end
  end
  local methods = allow(list, segments, n)
  return nil, methods and 405 or 404, methods
end

-- A prefix and the pattern behind it; "/" is the prefix itself.
function M.join(prefix, pattern)
  return (pattern == "/" and prefix ~= "") and prefix or prefix .. pattern
end

-- "GET /{name}" for each route, in the order of specificity.
function Router:describe(prefix)
  local out = {}
  for _, p in ipairs(self.list) do
    local methods = {}
    for method in pairs(p.methods) do
      methods[#methods + 1] = method
    end
    table.sort(methods)
    for _, method in ipairs(methods) do
      out[#out + 1] = method .. " " .. M.join(prefix, p.methods[method].pattern)
    end
  end
  return out
end

return M
