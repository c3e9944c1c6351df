-- SPDX-License-Identifier: Apache-2.0
--
-- Tags: their list, and how they go away. The store is the only truth; nothing is remembered. The
-- list shows the tags that the user may pull: each is asked about.
local access = require "apps.registry.access"
local gate = require "tidegate"
local pages = require "apps.registry.pages"
local reply = require "apps.registry.reply"

local LIST_MAX = 1000 -- names that a store lists at once

local M = {}

-- f(tag) for each tag, in the store's order, behind `after` (a key).
local function each(reg, repo, after, limit, f)
  local prefix = reg.layout.tags(repo)
  local page, more = reg.store:list(prefix, { delimiter = true, after = after, limit = limit })
  for _, entry in ipairs(page) do
    local tag = reg.form.tag_of(entry, prefix)
    if tag then f(tag) end
  end
  return more, page[#page] and page[#page].name
end

-- f(tag) for every tag that names this manifest now, by whatever digest.
function M.each_of(reg, repo, digest, target, f)
  local after, more = nil, true
  while more do
    more, after = each(reg, repo, after, LIST_MAX, function(tag)
      if reg.form.tag_names(reg, repo, tag, digest, target) then f(tag) end
    end)
  end
end

-- Up to page.n tags behind page.last in byte order that the user may know, whether more follow, and
-- the tag looked at last if the page ends there for want of looks. It looks at about page.n names,
-- and at those that it leaves out, whatever the repository holds.
--
-- Tags that are folders are listed as names that end with "/", which sorts behind "-" and ".": so
-- "a-b" comes before "a" there, and after it here. Two names are ordered differently only if one
-- begins with the other. So all that belongs before the end of a page but is listed after it are
-- beginnings of the page's last name, which are few and are looked up one by one.
local function page_of(reg, q, repo, page)
  local found, n, last = {}, page.n, page.last
  local function add(tag)
    if last and tag <= last then return end
    page.looks = page.looks - 1
    if access.may(reg, q, "pull", repo, tag) then found[#found + 1] = tag end
  end
  local after = last and reg.layout.tags(repo) .. last or nil
  local more, newest, limit = true, nil, math.min(n + 1, LIST_MAX)
  while more and #found <= n and page.looks > 0 do
    more, after = each(reg, repo, after, limit, function(tag)
      newest = tag
      add(tag)
    end)
    limit = LIST_MAX
  end
  if more and reg.form.tags_are_folders then
    for cut in newest:gmatch("()[.-]") do
      local tag = newest:sub(1, cut - 1)
      if tag ~= "" and reg.form.is_tag(reg, repo, tag) then add(tag) end
    end
  end
  table.sort(found)
  if #found > n or not more then
    more = #found > n
    for i = #found, n + 1, -1 do found[i] = nil end
    return found, more
  end
  while found[1] and found[#found] > newest do found[#found] = nil end -- listed again
  return found, true, newest
end

function M.routes(app, reg)
  app:get("/{repo...}/tags/list", function(q)
    local repo = access.enter(reg, q, "pull")
    local page = pages.place(q, ("%s/%s/tags/list"):format(reg.prefix, repo))
    if not reg.form.exists(reg, repo) then
      gate.fail(404, "NAME_UNKNOWN", "no such repository", { name = repo })
    end
    local found, more, cut = page_of(reg, q, repo, page)
    return reply(200, { name = reg.space.outer(repo), tags = gate.json.array(found) },
      pages.headers(page, found, more, cut))
  end)
end

return M
