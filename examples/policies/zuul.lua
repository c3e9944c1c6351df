-- Zuul's jobs find their images here, in the directory of zuul-registry: everybody pulls, also with
-- the password for another registry, which docker sends to a mirror; `zuul` pushes. The image of a
-- change is pushed once, so no job moves the tag of another one.
local auth = require "auth"
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:9000") }

gate.serve {
  registry {
    store = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") },
    layout = require "layouts.zuul",
    auth = auth.first { auth.htpasswd "users", auth.anonymous },
    immutable = { "change_*" },
    allow = function(q)
      return q.action == "pull" or q.user.name == "zuul", "only zuul pushes"
    end,
  },
  gate.health "/healthz",
}
