-- SPDX-License-Identifier: Apache-2.0
--
-- Tags that are set once: the option `immutable`, a list of globs over tags, or a function of the
-- repository and the tag. Such a tag is only ever written by put_if over nothing, so of all that
-- set it at the same moment, through whatever gateways, exactly one does, and the others hear that
-- it names another manifest. It is not deleted either, nor is the manifest that it names.
--
-- Nothing is remembered: a tag that is there and that the option says is immutable, is.
local access = require "apps.registry.access"
local gate = require "tidegate"

local M = {}

-- The option as a function; raises a string unless it can be one.
function M.read(option)
  if option == nil or type(option) == "function" then return option end
  if type(option) ~= "table" then error("'immutable' must be a list of globs or a function", 0) end
  for key, glob in pairs(option) do
    if type(key) ~= "number" or type(glob) ~= "string" then
      error("'immutable' must be a list of globs or a function", 0)
    end
    local ok, wrong = pcall(gate.glob, glob, "")
    if not ok then error("'immutable': " .. tostring(wrong):gsub("^.-gate%.glob: ", ""), 0) end
  end
  return function(_, tag)
    for _, glob in ipairs(option) do
      if gate.glob(glob, tag) then return true end
    end
    return false
  end
end

function M.is(reg, q, repo, tag)
  if not reg.immutable then return false end
  return (access.verdict("immutable", q, reg.immutable, repo, tag))
end

-- For everybody: no other user may change it.
function M.deny(q, tag, digest)
  gate.decided("immutable", false, ("the tag %s is set"):format(tag))
  access.deny(q, ("the tag %s is immutable"):format(tag), { tag = tag, digest = digest })
end

-- Fails if the tag names another manifest, before anything is written. A race is decided by set.
function M.check(reg, q, repo, tag, digest, target)
  if not M.is(reg, q, repo, tag) then return end
  local is_it, named = reg.form.tag_names(reg, repo, tag, digest, target)
  if named and not is_it then M.deny(q, tag, named) end
end

-- Sets the tag unless it is set. It may name this manifest already.
function M.set(reg, q, repo, tag, digest, target, media_type)
  local named = reg.form.set_tag_once(reg, repo, tag, digest, target, media_type)
  if named then M.deny(q, tag, named) end
end

return M
