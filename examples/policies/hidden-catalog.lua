-- Whoever is nobody may pull what is below public/ and learns of nothing else: neither the
-- catalog nor a list of tags shows it. Those with a name see and pull everything, and push.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local function allow(q)
  if q.user.name ~= "" then return true end
  if q.action == "pull" and gate.glob("public/**", q.repo) then return true end
  return false, "log in to see this"
end

gate.serve { registry { store = disk, allow = allow }, gate.health "/healthz" }
