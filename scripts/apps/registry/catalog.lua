-- SPDX-License-Identifier: Apache-2.0
--
-- The list of repositories: those that own manifests. Names are ordered component by component, as
-- the distribution registry orders them ("a", "a/b", "a-b"), which is the order of a walk.
local access = require "apps.registry.access"
local gate = require "tidegate"
local pages = require "apps.registry.pages"
local reply = require "apps.registry.reply"

local M = {}

-- The names right below a prefix, sorted; those that the layout keeps to itself apart, as a set.
local function children(reg, prefix)
  local inner, own, after = {}, {}, nil
  repeat
    local page, more = reg.store:list(prefix, { delimiter = true, after = after })
    for _, entry in ipairs(page) do
      after = entry.name
      local name = entry.prefix and entry.name:sub(#prefix + 1, -2) or ""
      if name:sub(1, 1) == reg.layout.reserved then
        own[name] = true
      elseif name ~= "" then
        inner[#inner + 1] = name
      end
    end
  until not more
  table.sort(inner)
  return inner, own
end

-- Does every repository at or below `name` come before `last` or is it `last`? Both by components.
local function is_behind(name, last)
  return (name:gsub("/", "\0")) < (last:gsub("/", "\0")) and last:sub(1, #name + 1) ~= name .. "/"
end

-- Collects up to n + 1 names behind `last`, parents before their children.
local function walk(reg, name, last, n, found)
  local inner, own = children(reg, reg.layout.repositories .. (name and name .. "/" or ""))
  if name and own[reg.layout.marker] then
    local is_later = not last or (name:gsub("/", "\0")) > (last:gsub("/", "\0"))
    if is_later then found[#found + 1] = name end
  end
  for _, child in ipairs(inner) do
    if #found > n then return end
    local path = name and name .. "/" .. child or child
    if not last or not is_behind(path, last) then walk(reg, path, last, n, found) end
  end
end

function M.routes(app, reg)
  app:get("/_catalog", function(q)
    access.ask(reg, q, "catalog")
    local n, last = pages.wanted(q)
    last = last and reg.space.inner(last)
    local found = {}
    walk(reg, nil, last, n, found)
    local more = #found > n
    found[n + 1] = nil
    for i, name in ipairs(found) do found[i] = reg.space.outer(name) end
    return reply(200, { repositories = gate.json.array(found) },
      pages.headers(reg.prefix .. "/_catalog", n, found, more))
  end)
end

return M
