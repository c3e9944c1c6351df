-- Every push of a tag is told to another server, as JSON. It is told beside the push, which
-- neither waits for it nor fails with it; a server that answers 500 or not at all is asked
-- again, up to five times.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local HOOK = gate.env("HOOK_URL", "http://127.0.0.1:8080/pushed")

local function tell(e)
  local body = gate.json.encode { repo = e.repo, tag = e.tag, digest = e.digest, by = e.user.name }
  for try = 1, 5 do
    local a = gate.try(gate.http.request, "POST", HOOK, { body = body, timeout = "10s",
      headers = { ["Content-Type"] = "application/json" } })
    if a and a.status < 500 then return end
    gate.sleep(2 ^ try / 100)
  end
  gate.log.error("nobody was told", { repo = e.repo, tag = e.tag })
end

gate.serve { registry { store = disk, on = { ["manifest.pushed"] = function(e)
  if e.tag then tell(e) end
end } } }
