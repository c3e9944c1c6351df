-- SPDX-License-Identifier: Apache-2.0
--
-- May this user do this? The registry's `allow(q)` decides, told by the fields of q:
--   q.action   "pull", "push" (blobs, and manifests by digest), "tag" (a manifest by tag),
--              "untag", "delete", "mount" (with q.from), "catalog"
--   q.repo     the repository; nil for the catalog
--   q.tag      the tag of "tag" and "untag", and of a "pull" by tag
--   q.user     who asks; the name is "" for nobody
-- It returns what is true in Lua, or false and a reason for people. A hook that fails answers
-- 500, so that a mistake in it never opens a door.
local gate = require "tidegate"
local names = require "apps.registry.names"

local M = {}

-- Whether the action is allowed on another repository than the request's: for mounts.
function M.may(reg, q, action, repo)
  local kept_action, kept_repo = q.action, q.repo
  q.action, q.repo = action, repo
  local ok = reg.allow(q)
  q.action, q.repo = kept_action, kept_repo
  return ok
end

-- Fails unless the action is allowed.
function M.ask(reg, q, action)
  q.action = action
  local ok, why = reg.allow(q)
  if ok then return end
  if q.user.name == "" then
    gate.fail(401, "UNAUTHORIZED", why or "who are you?", { action = action })
  end
  gate.fail(403, "DENIED", why or "not allowed", { action = action })
end

-- The start of every request about a repository: takes its name from the path and asks.
function M.enter(reg, q, action)
  local repo = q.params.repo
  if not names.is_repo(repo) then
    gate.fail(400, "NAME_INVALID", "no name of a repository", { name = repo })
  end
  q.repo = repo
  M.ask(reg, q, action)
  return repo
end

return M
