-- Each user, or each address of nobody, has 100 pulls of manifests in an hour, and hears how
-- long to wait when they are used up. Counted in this process; several gateways count each for
-- itself.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local LIMIT, HOUR = 100, 3600
local pulls = gate.shared("pulls", { size = "4m" })

local function allow(q)
  if q.action ~= "pull" or q.method ~= "GET" or not q.path:find "/manifests/" then return true end
  local who = q.user.name ~= "" and q.user.name or q.address
  local hour = math.floor(gate.now() / HOUR)
  if pulls:incr(who .. " " .. hour, 1, 0, "1h") <= LIMIT then return true end
  return false, ("%d pulls an hour are used up, wait %d minutes"):format(LIMIT,
    math.ceil(((hour + 1) * HOUR - gate.now()) / 60))
end

gate.serve { registry { store = disk, allow = allow } }
