-- Tags have to be versions (v1.2.3, v1.2.3-rc.1) or branches (branch-NAME); a version is made by
-- `release` alone. So nobody pushes :latest by forgetting the tag.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local function allow(q)
  if q.action ~= "tag" then return true end
  if q.tag:find "^branch%-%w" then return true end
  if not q.tag:find "^v%d+%.%d+%.%d+$" and not q.tag:find "^v%d+%.%d+%.%d+%-rc%.%d+$" then
    return false, "a tag is v1.2.3, v1.2.3-rc.1 or branch-NAME, not " .. q.tag
  end
  return q.user.name == "release", "versions are made by release"
end

gate.serve { registry { store = disk, allow = allow } }
