-- Rights for each tag, by group (the file groups, beside users): prod is set by the group
-- release, stage by operators, and every other tag by everybody with a name.
local auth = require "auth"
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local who = auth.first { auth.htpasswd("users", { groups = "groups" }), auth.anonymous }
local NEEDED = { { "prod*", "release" }, { "stage*", "operators" } } -- the first that fits decides

local function allow(q)
  if q.action == "pull" or q.action == "catalog" then return true end
  if q.user.name == "" then return false, "log in to change images" end
  for _, rule in ipairs(q.tag and NEEDED or {}) do
    local glob, group = rule[1], rule[2]
    if gate.glob(glob, q.tag) then
      return q.user.groups[group] == true, ("%s is set by the group %s"):format(q.tag, group)
    end
  end
  return true
end

gate.serve { registry { store = disk, auth = who, allow = allow }, gate.health "/healthz" }
