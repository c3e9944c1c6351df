-- SPDX-License-Identifier: Apache-2.0
--
-- The list of repositories: those that own manifests. Names are ordered component by component, as
-- the distribution registry orders them ("a", "a/b", "a-b"), which is the order of a walk. Each is
-- asked about: a user sees the repositories that he may pull from.
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

-- Collects up to page.n + 1 names behind page.last that the user may know, parents before their
-- children. Returns the name looked at last if it has no looks left.
local function walk(reg, q, name, page, found)
  local last = page.last
  local inner, own = children(reg, reg.form.below(reg, name))
  local is_later = not last or name and (name:gsub("/", "\0")) > (last:gsub("/", "\0"))
  if name and own[reg.layout.marker] and is_later then
    page.looks = page.looks - 1
    if access.may(reg, q, "pull", name) then found[#found + 1] = name end
    if page.looks == 0 then return name end
  end
  for _, child in ipairs(inner) do
    if #found > page.n then return nil end
    local path = name and name .. "/" .. child or child
    local cut = not (last and is_behind(path, last)) and walk(reg, q, path, page, found)
    if cut then return cut end
  end
  return nil
end

function M.routes(app, reg)
  app:get("/_catalog", function(q)
    access.ask(reg, q, "catalog")
    local page, found = pages.place(q, reg.prefix .. "/_catalog"), {}
    page.last = page.last and reg.space.inner(page.last)
    local cut = walk(reg, q, nil, page, found)
    local more = #found > page.n
    found[page.n + 1] = nil
    for i, name in ipairs(found) do found[i] = reg.space.outer(name) end
    return reply(200, { repositories = gate.json.array(found) },
      pages.headers(page, found, more, not more and cut and reg.space.outer(cut)))
  end)
end

return M
