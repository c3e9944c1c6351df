-- SPDX-License-Identifier: Apache-2.0
--
-- What `tidegate explain` can be told of a push without its body: the rules that are asked once it
-- is there. What they decide is told as far as they do not look into it; of the others, that they
-- were not asked.
local gate = require "tidegate"
local immutable = require "apps.registry.immutable"

local M = {}

local function about_immutable(reg, q)
  if not q.tag or not immutable.is(reg, q, q.repo, q.tag) then return end
  local digest = reg.form.read_tag(reg, q.repo, q.tag)
  gate.decided("immutable", digest == nil, digest
    and ("the tag %s is set, and takes no other manifest than %s"):format(q.tag, digest)
    or ("the tag %s can be set once"):format(q.tag))
end

function M.about(app, reg)
  app:explain(function(q)
    local is_manifest = q.params.ref ~= nil
    if is_manifest then about_immutable(reg, q) end
    if is_manifest and reg.admit then
      gate.undecided("admit", "it needs the manifest (--body FILE gives one)")
    end
    if reg.quota then gate.undecided("quota", "it needs the body's size") end
  end)
end

return M
