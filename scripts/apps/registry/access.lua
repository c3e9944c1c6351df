-- SPDX-License-Identifier: Apache-2.0
--
-- May this user do this? The registry's `allow(q)` decides, told by the fields of q:
--   q.action   "pull", "push" (blobs, and manifests by digest), "tag" (a manifest by tag),
--              "untag", "delete", "mount" (with q.from), "catalog"
--   q.repo     the repository; nil for the catalog
--   q.tag      the tag of "tag" and "untag", and of a "pull" by tag
--   q.user     who asks; the name is "" for nobody
-- It returns true, or false and a reason for people; what follows a true names the rule. Either
-- is q.rule afterwards. Nothing but `true` allows: a hook that raises, also a failure of the
-- world, or returns anything else has a mistake in it, which answers 500.
local gate = require "tidegate"
local names = require "apps.registry.names"

local RULES = {} -- what a decision is called, by action
for _, action in ipairs { "pull", "push", "tag", "untag", "delete", "mount", "catalog" } do
  RULES[action] = "allow " .. action
end

local M = {}

-- What an operator's function says, true or false, with a text or without one. `name` is the
-- option that it stands in. While q.asks stands, errors.lua takes whatever is raised for a
-- mistake of the function.
function M.verdict(name, q, f, a, b)
  q.asks = name
  local ok, why = f(a, b)
  q.asks = false
  if ok ~= true and ok then
    error(("%s must return true, or false and a reason, it returned a %s"):format(name,
      type(ok)), 0)
  end
  if why ~= nil and type(why) ~= "string" then
    error(("%s must return a string behind the verdict, it returned a %s"):format(name,
      type(why)), 0)
  end
  return ok or false, why
end

-- Whether the action is allowed on this repository, or this tag of it, and what the rule says:
-- for what is not the request's own question, which stays as it is.
function M.may(reg, q, action, repo, tag)
  if not reg.allow then return true end
  local own_action, own_repo, own_tag = q.action, q.repo, q.tag
  q.action, q.repo, q.tag = action, repo, tag
  local ok, why = M.verdict("allow", q, reg.allow, q)
  q.action, q.repo, q.tag = own_action, own_repo, own_tag
  return ok, why
end

-- The client gets to read why. Who is known does not become another one by saying it again, so
-- only nobody is asked for a name.
local function refuse(q, why)
  local detail = { action = q.action, name = q.repo, tag = q.tag }
  if q.user.name == "" then
    gate.fail(401, "UNAUTHORIZED", q.user.refused or why or "who are you?", detail)
  end
  gate.fail(403, "DENIED", why or "not allowed", detail)
end

-- Refuses what a rule forbids to everybody; another name would not help.
function M.deny(q, why, detail)
  detail.action, detail.name = q.action, q.repo
  q.rule = why
  gate.fail(403, "DENIED", why, detail)
end

-- Fails unless the action is allowed.
function M.ask(reg, q, action)
  q.action = action
  if not reg.allow then return end
  local ok, why = M.verdict("allow", q, reg.allow, q)
  if why then q.rule = why end -- not nil: that makes room for a field, every time
  gate.decided(RULES[action], ok, why)
  if not ok then refuse(q, why) end
end

-- The start of every request about a repository: takes its name from the path and asks, before
-- anything is looked up. So who may not know a repository learns nothing of what it holds.
--
-- A client that pulls by way of a mirror says in ?ns= from which host the image would be.
function M.enter(reg, q, action)
  local repo = q.params.repo
  local mirror = reg.mirrored and action == "pull" and q.query.ns and reg.mirrors[q.query.ns]
  if mirror then
    repo = mirror .. "/" .. repo
    q.source = q.query.ns
  end
  if not names.is_repo(repo) then
    gate.fail(400, "NAME_INVALID", "no name of a repository", { name = repo })
  end
  if reg.layout.takes and not reg.layout.takes(repo) then
    gate.fail(400, "NAME_INVALID", "the layout cannot keep a repository of this name",
      { name = repo })
  end
  q.repo = repo
  q:note { action = action, repository = repo, tag = q.tag }
  M.ask(reg, q, action)
  return repo
end

return M
