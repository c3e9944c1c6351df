-- A deleted tag can be had back for as long as its manifest is there: it becomes a tag of
-- trash/REPO, named by the day, which clients can pull. Only `keeper` deletes manifests and what is
-- in the trash. Where `tidegate restore` is enough, the option `trash` does without a rule.
local gate = require "tidegate"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }
local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }

local layout = require "layouts.distribution"

local function allow(q)
  if q.action ~= "delete" and not gate.glob("trash/**", q.repo or "") then return true end
  return q.action == "pull" or q.user.name == "keeper", "only keeper empties the trash"
end

local function keep(e)
  if gate.glob("trash/**", e.repo) then return end
  local repo, tag = "trash/" .. e.repo, os.date("!%Y%m%d-", e.at) .. e.tag:sub(1, 100)
  disk:put(layout.revision(repo, e.digest), e.digest)
  disk:put(layout.tag_current(repo, tag), e.digest)
end

gate.serve { registry { store = disk, allow = allow, on = { ["tag.deleted"] = keep } } }
