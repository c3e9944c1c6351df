-- "/" says 200 for load balancers that look there and nowhere else, and so does /healthz. What
-- lies between is the registry's, and 404.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local root = gate.app {}
root:get("/", function() return gate.reply(200, "a container registry\n") end)

gate.serve { registry { store = disk }, root, gate.health "/healthz" }
