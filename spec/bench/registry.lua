-- The gateway that `make bench` measures: the plain registry, two workers; with HOOK=1 under a rule
-- of the usual kind, which looks at the action, the user, the repository and the tag.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config {
  listen = {
    gate.env "TIDEGATE_LISTEN",
    { address = gate.env "LISTEN_TLS",
      tls = { cert = gate.env "TLS_CERT", key = gate.env "TLS_KEY" } },
  },
  workers = 2, log = { level = "error", access = false },
}

local disk = gate.store.fs {
  root = gate.env "TIDEGATE_DATA",
  durability = gate.env("DURABILITY", "sync"),
}

local function allow(q)
  if q.action == "pull" then
    return gate.glob("bench/**", q.repo) and q.tag ~= "secret", "only bench/ can be pulled"
  end
  return q.user.name == "" and gate.glob("bench/**", q.repo), "only bench/ can be pushed to"
end

gate.serve { registry { store = disk, allow = gate.env "HOOK" and allow } }
