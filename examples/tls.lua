-- A container registry with TLS, for clients elsewhere. Who shows a certificate that ca.pem has
-- signed may push; others may pull.
--
--   TIDEGATE_LISTEN=0.0.0.0:443 TIDEGATE_TLS=/etc/tidegate tidegate serve examples/tls.lua
--
-- In the folder: server.pem (the certificate, then those that signed it), server.key, ca.pem.
-- Exchange them and run `tidegate reload`: no transfer is cut off.
local gate = require "tidegate"
local registry = require "apps.registry"

local folder = gate.env("TIDEGATE_TLS", "tls") -- relative to this file

gate.config {
  listen = {
    {
      address = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5443"),
      tls = {
        cert = folder .. "/server.pem",
        key = folder .. "/server.key",
        client = folder .. "/ca.pem",
      },
    },
  },
}

local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local function allow(q)
  return q.action == "pull" or q.tls.client ~= nil, "pushing needs a client's certificate"
end

gate.serve {
  registry { store = disk, allow = allow },
  gate.health "/healthz",
}
