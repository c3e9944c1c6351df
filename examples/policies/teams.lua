-- Teams and what they may change stand in teams.json, which takes effect when it is saved.
-- Everybody may pull; a repository that no team has cannot be pushed to.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local teams = gate.file "teams.json"   -- { name = { repos = glob, members = { name, … } } }

local function allow(q)
  if q.action == "pull" or q.action == "catalog" then return true end
  for name, team in pairs(teams.value) do
    if gate.glob(team.repos, q.repo) then
      for _, member in ipairs(team.members) do
        if member == q.user.name then return true, "member of " .. name end
      end
      return false, ("%s belongs to the team %s"):format(q.repo, name)
    end
  end
  return false, "no team has " .. q.repo
end

gate.serve { registry { store = disk, allow = allow } }
