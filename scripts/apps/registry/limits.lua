-- SPDX-License-Identifier: Apache-2.0
--
-- What one user may take of a registry: the option `limits`. Whoever has no name counts by the
-- address.
local bounds = require "tidegate.bounds"
local gate = require "tidegate"

local M = {}

M.OPTIONS = {
  requests = bounds.SHARES.requests, burst = bounds.SHARES.burst,
  up = bounds.SHARES.up, down = bounds.SHARES.down,
  uploads = { "integer", min = 1, max = 1000 },
}

local Limits = {}
Limits.__index = Limits

-- No name is an address.
local function key_of(q)
  return q.user.name ~= "" and "user " .. q.user.name or q
end

-- Once it is known who asks.
function Limits:enter(q)
  local key = key_of(q)
  self.limit:take(key)
  self.limit:pace(q, key)
end

-- An upload session is about to be made.
function Limits:hold(q, id)
  self.limit:hold(key_of(q), id)
end

-- It goes on, which is never refused: its place may be another's by now.
function Limits:renew(q, id)
  gate.try(self.limit.hold, self.limit, key_of(q), id)
end

function Limits:release(q, id)
  self.limit:release(key_of(q), id)
end

local function nothing() end

local NONE = { enter = nothing, hold = nothing, renew = nothing, release = nothing }

-- `where` tells the registries of one gateway apart.
function M.new(options, where)
  if next(options) == nil then return NONE end
  local limit = gate.limit("registry." .. gate.hash("sha256", where):sub(1, 16), {
    requests = options.requests, burst = options.burst, up = options.up, down = options.down,
    places = options.uploads,
  })
  return setmetatable({ limit = limit }, Limits)
end

return M
