-- Everybody pulls without a name; who pushes has one, from the file users beside this script.
-- Only admin deletes.
local auth = require "auth"
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local who = auth.first { auth.htpasswd "users", auth.anonymous }

local function allow(q)
  if q.action == "pull" or q.action == "catalog" then return true end
  if q.user.name == "" then return false, "log in to push" end
  return q.action ~= "delete" or q.user.name == "admin", "only admin deletes"
end

gate.serve { registry { store = disk, auth = who, allow = allow }, gate.health "/healthz" }
