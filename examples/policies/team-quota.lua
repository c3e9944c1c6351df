-- How much a repository may hold: what its team has in teams.json, 16 MiB where no team is.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local teams = gate.file "teams.json"   -- { name = { repos = glob, quota = size } }

local function quota(_, repo)
  for _, team in pairs(teams.value) do
    if gate.glob(team.repos, repo) then return team.quota end
  end
  return "16m"
end

gate.serve { registry { store = disk, quota = quota }, gate.health "/healthz" }
