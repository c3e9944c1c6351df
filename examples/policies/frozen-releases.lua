-- Release tags are for ever: "v…" can be made, but neither moved nor deleted; nobody lists the
-- catalog; everything else is open.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local function allow(q)
  return q.action ~= "catalog" and q.action ~= "delete", "not offered here"
end

gate.serve { registry { store = disk, allow = allow, immutable = { "v*" } } }
