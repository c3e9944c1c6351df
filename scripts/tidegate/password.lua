-- SPDX-License-Identifier: Apache-2.0
--
-- gate.password: bcrypt, computed on the pool.
local check = require("tidegate.check").check
local core = require "tidegate.core"
local err = require "tidegate.error"

local M = {}

local HASH = { cost = { "integer", default = 10, min = 4, max = 15 } }
local AGAIN = { ["Retry-After"] = 5 } -- seconds; a full queue is worked off in about half of it

-- A full queue is no fault of the server: 429, which clients of registries know to wait after.
local function answer(ok, name, message, status)
  if ok then
    return name
  elseif name == "BUSY" then
    err.raise("BUSY", "too many passwords are being checked", 429, { headers = AGAIN })
  end
  err.raise(name, message, status)
end

-- Whether it is the password of that hash. Waits; takes as long for a wrong one.
function M.verify(password, hash)
  return answer(core.result(core.password_verify(password, hash)))
end

-- A new hash. Waits.
function M.hash(password, options)
  local o = check(options or {}, HASH, "gate.password.hash")
  return answer(core.result(core.password_hash(password, o.cost)))
end

-- The cost of a hash, or nil and what it is instead of one that can be verified.
M.cost = core.password_cost

return M
