-- SPDX-License-Identifier: Apache-2.0
--
-- A space: a naming layout over a store. Its key function is pure.
local core = require "tidegate.core"
local check = require("tidegate.check").check
local closed = require "tidegate.closed"
local store = require "tidegate.store"

local M = {}

local SPACE = { store = { "table", needed = true }, key = { "function", needed = true } }

local Space = closed({}, "a space")
Space.__index = Space

function M.new(options)
  local o = check(options, SPACE, "gate.space")
  if not store.is(o.store) then
    error("gate.space: 'store' must be a store", 2)
  end
  local ok, wrong = pcall(o.store.claim, o.store, "a gate.space")
  if not ok then
    error("gate.space: " .. wrong, 2)
  end
  return setmetatable({ _store = o.store, _key = o.key }, Space)
end

-- The key that a table of names means.
function Space:key(p)
  local key = core.pure("the key function of a space", self._key, p)
  if type(key) ~= "string" then
    error("the key function of a space must return a string, it returned " .. type(key), 2)
  end
  return key
end

for _, verb in ipairs { "open", "stat", "create", "put", "read", "remove", "touch" } do
  Space[verb] = function(self, p, ...)
    return self._store[verb](self._store, self:key(p), ...)
  end
end

return M
