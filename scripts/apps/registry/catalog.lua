-- SPDX-License-Identifier: Apache-2.0
--
-- The list of repositories: those that own manifests. Names are ordered component by component, as
-- the distribution registry orders them ("a", "a/b", "a-b"), which is the order of a walk. Each is
-- asked about: a user sees the repositories that he may pull from.
--
-- A page walks from the name that it goes on behind, and keeps of each folder on its way no more
-- names than it may need. So it costs what it shows and what it leaves out, in time and in memory,
-- whatever the registry holds.
local access = require "apps.registry.access"
local gate = require "tidegate"
local listing = require "apps.registry.listing"
local pages = require "apps.registry.pages"
local reply = require "apps.registry.reply"

local DEEP = 8 -- levels that may keep a page of names
local NAMES_LEAST = 16 -- names of a folder that are listed at once, at least

local M = {}

-- The part of page.last right below `name`, if page.last is below it: what comes before that part
-- was listed.
local function rest(page, name)
  if not name or not page.last then return page.last and page.last:match "^[^/]*" end
  if page.last:sub(1, #name + 1) ~= name .. "/" then return nil end
  return page.last:match("^[^/]*", #name + 2)
end

-- Adds the repository to `found` if it is one that the user may know.
local function look(reg, q, name, list, page, found)
  page.looks = page.looks - 1
  if list:has(reg.layout.marker) and access.may(reg, q, "pull", name) then
    found[#found + 1] = name
  end
end

-- Collects up to page.n + 1 names behind page.last that the user may know, parents before their
-- children. Returns the name looked at last if it has no looks left.
local function walk(reg, q, name, page, found, depth)
  local from = rest(page, name)
  local limit = math.max(depth > DEEP and 0 or page.n + 2 - #found, NAMES_LEAST)
  local list = listing.new(reg.store, reg.form.below(reg, name), from, limit)
  if name and not from and name ~= page.last then
    look(reg, q, name, list, page, found)
    if page.looks == 0 then return name end
  end
  for child in list.next, list do
    if #found > page.n then return nil end
    if child ~= reg.layout.marker and child:sub(1, 1) ~= reg.layout.reserved then
      local cut = walk(reg, q, name and name .. "/" .. child or child, page, found, depth + 1)
      if cut then return cut end
    end
  end
  return nil
end

function M.routes(app, reg)
  app:get("/_catalog", function(q)
    access.ask(reg, q, "catalog")
    local page, found = pages.place(q, reg.prefix .. "/_catalog"), {}
    page.last = page.last and reg.space.inner(page.last)
    local cut = walk(reg, q, nil, page, found, 1)
    local more = #found > page.n
    found[page.n + 1] = nil
    for i, name in ipairs(found) do found[i] = reg.space.outer(name) end
    return reply(200, { repositories = gate.json.array(found) },
      pages.headers(page, found, more, not more and cut and reg.space.outer(cut)))
  end)
end

return M
