-- A registry that everybody may pull from and users may push to; what is below "private/" is for
-- users alone. The users are in the file beside this one.
--
--   tidegate hash-password ann >> examples/users
--   tidegate serve examples/private.lua
--   skopeo login --tls-verify=false -u ann 127.0.0.1:5000
--
-- Passwords travel as they are: put TLS in front before anybody else can reach it.
local gate = require "tidegate"
local auth = require "auth"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

-- Who gives no password is nobody; without the second line nobody gets in at all.
local who = auth.first {
  auth.htpasswd(gate.env("TIDEGATE_USERS", "users")),
  auth.anonymous,
}

local function allow(q)
  local is_user = q.user.name ~= ""
  if q.action == "catalog" then return true end
  if q.action == "pull" then
    return is_user or not gate.glob("private/**", q.repo), "this is for users"
  end
  return is_user, "only users may change anything"
end

gate.serve {
  registry { store = disk, auth = who, allow = allow },
  gate.health "/healthz",
}
