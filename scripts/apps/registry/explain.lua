-- SPDX-License-Identifier: Apache-2.0
--
-- What `tidegate explain` can be told of a push without its manifest: the rules that are asked once
-- the body is there, as far as they do not look into it.
local gate = require "tidegate"
local immutable = require "apps.registry.immutable"

local M = {}

function M.about(app, reg)
  app:explain(function(q)
    if q.method ~= "PUT" or not q.tag or not immutable.is(reg, q, q.repo, q.tag) then return end
    local digest = reg.form.read_tag(reg, q.repo, q.tag)
    gate.decided("immutable", digest == nil, digest
      and ("the tag %s is set, and takes no other manifest than %s"):format(q.tag, digest)
      or ("the tag %s can be set once"):format(q.tag))
  end)
end

return M
