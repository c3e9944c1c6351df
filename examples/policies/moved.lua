-- Repositories that were renamed: clients that ask for the old name are sent to the new one, for
-- pulls only. Those in CLOSED are gone for good, and say so.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local MOVED = { ["tools/build"] = "ci/build", ["old/app"] = "web/app" }
local CLOSED = { ["demo/app"] = "demo/app was given up in 2024" }

local function redirect(q)
  local repo, rest = q.path:match "^/v2/(.+)(/manifests/[^/]+)$"
  if not repo then repo, rest = q.path:match "^/v2/(.+)(/blobs/[^/]+)$" end
  if CLOSED[repo or ""] then gate.fail(404, "NAME_UNKNOWN", CLOSED[repo]) end
  if MOVED[repo or ""] and (q.method == "GET" or q.method == "HEAD") then
    return gate.reply(307, nil, { Location = "/v2/" .. MOVED[repo] .. rest })
  end
end

gate.serve { registry { store = disk }:use(redirect), gate.health "/healthz" }
