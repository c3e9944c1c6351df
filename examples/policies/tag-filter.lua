-- ?match=GLOB behind a list of tags filters it in the server, pages included: GET
-- /v2/app/tags/list?match=v1.* shows the tags of v1. A list asks about each of its tags.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local function allow(q)
  local glob = q.action == "pull" and q.query.match
  if not glob or not q.tag or not q.path:find "/tags/list$" then return true end
  local ok, fits = pcall(gate.glob, glob, q.tag)
  return ok and fits, "the list was asked for other tags"
end

gate.serve { registry { store = disk, allow = allow } }
