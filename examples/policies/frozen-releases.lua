-- Release tags are for ever: "v…" can be made, but neither moved nor deleted; nobody lists the
-- catalog; everything else is open.
local gate = require "tidegate"
local registry = require "apps.registry"
local layout = require "layouts.distribution"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local function is_frozen(q)
  return q.tag and q.tag:sub(1, 1) == "v" and disk:stat(layout.tag_current(q.repo, q.tag)) ~= nil
end

local function allow(q)
  if q.action == "tag" or q.action == "untag" then
    return not is_frozen(q), "release tags are never changed"
  end
  return q.action ~= "catalog" and q.action ~= "delete", "not offered here"
end

gate.serve { registry { store = disk, allow = allow } }
