-- An image is let in if its labels say where it comes from (the annotations of OCI, in the image
-- or in its manifest); indexes are, if their images were. What is pushed below try/ needs
-- nothing.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local NEEDED = { "org.opencontainers.image.source", "org.opencontainers.image.revision" }

local function admit(m, q)
  if gate.glob("try/**", q.repo) or #m.manifests > 0 or m.artifactType then return true end
  local labels = m:labels()
  for _, name in ipairs(NEEDED) do
    local value = labels[name] or m.annotations[name]
    if not value then return false, "a label is missing: " .. name end
  end
  return true
end

gate.serve { registry { store = disk, admit = admit }, gate.health "/healthz" }
