-- SPDX-License-Identifier: Apache-2.0
--
-- gate.shared: dictionaries that all workers see.
local check = require("tidegate.check").check
local core = require "tidegate.core"
local err = require "tidegate.error"
local units = require "tidegate.units"

local M = {}

local SHARED = { size = { "size", default = 2 ^ 20, min = 64 * 2 ^ 10, max = 2 ^ 36 } }

local Shared = {}
Shared.__index = Shared

local named = {}

-- The dictionary of that name. Load time only.
function M.new(name, options)
  local o = check(options or {}, SHARED, "gate.shared")
  if type(name) ~= "string" or name == "" then
    error("gate.shared: a name is expected", 2)
  end
  local known = named[name]
  if not known then
    known = setmetatable({ box = core.shared(name, o.size), size = o.size }, Shared)
    named[name] = known
  elseif options and known.size ~= o.size then
    error(("gate.shared: '%s' has another size already"):format(name), 2)
  end
  return known
end

local function seconds(ttl, where)
  if ttl == nil then
    return 0
  end
  return units.duration(ttl) or error(where .. ': the ttl must be a duration', 3)
end

-- The value, or nil.
function Shared:get(key)
  return err.check(core.shared_get(self.box, key))
end

function Shared:set(key, value, ttl)
  err.check(core.shared_set(self.box, key, value, seconds(ttl, "shared:set")))
end

-- Sets it if the key is absent. Returns whether it did.
function Shared:add(key, value, ttl)
  return err.check(core.shared_set(self.box, key, value, seconds(ttl, "shared:add"), true))
end

-- Adds to a number; returns the sum. `initial` and `ttl` are for a key that is absent.
function Shared:incr(key, by, initial, ttl)
  return err.check(core.shared_incr(self.box, key, by or 1, initial or 0,
    seconds(ttl, "shared:incr")))
end

-- Returns whether it was there.
function Shared:delete(key)
  return core.shared_delete(self.box, key)
end

return M
