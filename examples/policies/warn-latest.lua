-- Who pulls :latest gets a Warning header with the image: what runs tomorrow is not what ran
-- today. And who pulls a repository that is to go hears when.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local ENDING = { ["old/app"] = "old/app goes on 2027-01-01, use web/app" }

local function warn(q, r)
  local text = q.action == "pull" and (ENDING[q.repo]
    or q.tag == "latest" and "latest moves; name a version or a digest")
  if not text or r.status >= 300 then return end
  r.headers = r.headers or {}
  r.headers.Warning = ('299 - "%s"'):format(text)
end

gate.serve { registry { store = disk }:after(warn), gate.health "/healthz" }
