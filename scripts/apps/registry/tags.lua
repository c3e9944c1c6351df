-- SPDX-License-Identifier: Apache-2.0
--
-- Tags: their list, and how they go away. The store is the only truth; nothing is remembered. The
-- list shows the tags that the user may pull: each is asked about.
local access = require "apps.registry.access"
local gate = require "tidegate"
local listing = require "apps.registry.listing"
local pages = require "apps.registry.pages"
local reply = require "apps.registry.reply"

local M = {}

-- f(tag, named) for every tag that names this manifest now, by whatever digest.
function M.each_of(reg, repo, digest, target, f)
  local prefix = reg.layout.tags(repo)
  local after, page, more
  repeat
    page, more = reg.store:list(prefix, { delimiter = true, after = after })
    for _, entry in ipairs(page) do
      local tag = reg.form.tag_of(entry, prefix)
      after = entry.name
      if tag then
        local is_it, named = reg.form.tag_names(reg, repo, tag, digest, target)
        if is_it then f(tag, named) end
      end
    end
  until not more
end

-- Up to page.n tags behind page.last in byte order that the user may know, whether more follow, and
-- the tag looked at last if the page ends there for want of looks. It looks at about page.n names,
-- and at those that it leaves out, whatever the repository holds.
local function page_of(reg, q, repo, page)
  local list = listing.new(reg.store, reg.layout.tags(repo), page.last, page.n + 2,
    not reg.form.tags_are_folders and reg.form.tag_of or nil)
  local found = {}
  for tag in list.next, list do
    if tag ~= page.last then
      page.looks = page.looks - 1
      if access.may(reg, q, "pull", repo, tag) then
        if #found == page.n then return found, true end
        found[#found + 1] = tag
      end
      if page.looks == 0 then return found, true, tag end
    end
  end
  return found, false
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
