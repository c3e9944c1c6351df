-- Nothing changes between 02:00 and 04:00 UTC, when backups run, nor while the file
-- "maintenance.txt" beside this script says why not. Pulls go on. (`tidegate readonly on` does
-- the same by hand.)
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local notice = gate.file("maintenance.txt", { text = true })   -- empty: nothing is going on

local function allow(q)
  if q.action == "pull" or q.action == "catalog" then return true end
  local why = notice.value:match "%S.*%S"
  if why then return false, "no changes now: " .. why end
  local hour = tonumber(os.date("!%H", gate.now()))
  return hour < 2 or hour >= 4, "no changes between 02:00 and 04:00 UTC"
end

gate.serve { registry { store = disk, allow = allow }, gate.health "/healthz" }
