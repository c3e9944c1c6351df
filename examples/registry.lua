-- A container registry: push and pull images, kept in a folder.
--
--   TIDEGATE_LISTEN=127.0.0.1:5000 TIDEGATE_DATA=./data tidegate serve examples/registry.lua
--   skopeo copy --dest-tls-verify=false oci:image docker://127.0.0.1:5000/my/image:v1
local gate = require "tidegate"
local registry = require "apps.registry"

-- Where it listens. Only this machine can reach it until you say "0.0.0.0:5000".
gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }

-- Where the images are: a directory that docker-registry can read and write, too.
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

gate.serve {
  registry { store = disk },
  gate.health "/healthz",
}
