-- The gateway that `make bench` measures: the plain registry, two workers.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 2, log = { level = "error" } }

local disk = gate.store.fs {
  root = gate.env "TIDEGATE_DATA",
  durability = gate.env("DURABILITY", "sync"),
}

gate.serve { registry { store = disk } }
