-- Pushes come from the networks of the builders alone, and not from clients that are known to
-- push broken images. Everybody may pull.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local BUILDERS = { "10.20.*", "10.21.7.*", "127.*" }
local BROKEN = { "docker/1.*", "docker/17.*" }   -- the beginning of User-Agent

local function fits(globs, text)
  for _, glob in ipairs(globs) do
    if gate.glob(glob:gsub("%*$", "**"), text) then return true end
  end
  return false
end

local function allow(q)
  if q.action == "pull" or q.action == "catalog" then return true end
  if not fits(BUILDERS, q.address) then return false, "changes come from the builders alone" end
  return not fits(BROKEN, q.headers["user-agent"] or ""), "this client is too old to push"
end

gate.serve { registry { store = disk, allow = allow } }
