-- Each branch has a namespace of its own: the user "ci-BRANCH" pushes below ci/BRANCH/, deletes
-- what is there when the branch is gone, and touches nothing else. Everybody may pull.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local CHANGES = { push = true, tag = true, untag = true, delete = true, mount = true }

local function allow(q)
  if not CHANGES[q.action] then return true end
  local branch = q.user.name:match "^ci%-(.+)$"
  if not branch then return false, "only the builds of branches may change images" end
  local own = ("ci/%s/"):format(branch)
  return q.repo:sub(1, #own) == own, "this build may change " .. own .. " alone"
end

gate.serve { registry { store = disk, allow = allow }, gate.health "/healthz" }
