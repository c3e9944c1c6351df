-- SPDX-License-Identifier: Apache-2.0
--
-- gate.limit: what one key (a user, a project, a client) may take of the gateway. Rates are C's
-- affair, which all workers share; what is held for a while is in a shared dictionary.
local bounds = require "tidegate.bounds"
local check = require("tidegate.check").check
local core = require "tidegate.core"
local err = require "tidegate.error"
local shared = require "tidegate.shared"

local M = {}

local AGAIN_S = 5 -- until somebody may have let go
local PLACES_MAX = 1000

local LIMIT = {
  requests = "rate", burst = bounds.SHARES.burst, up = bounds.SHARES.up,
  down = bounds.SHARES.down,
  places = { "integer", min = 1, max = PLACES_MAX },
  ttl = { "duration", default = 900, min = 1 },
}

local Limit = {}
Limit.__index = Limit

local function refuse(message, seconds)
  seconds = math.max(1, seconds)
  err.raise("TOO_MANY", ("%s, try again in %d s"):format(message, seconds), 429,
    { headers = { ["Retry-After"] = ("%d"):format(seconds) } })
end

-- A key is a string, or a request: then the address of its client.
local function name_of(key, where)
  if type(key) == "table" and type(key.address) == "string" then
    return core.limit_network(key.address)
  elseif type(key) ~= "string" then
    error(where .. ": a key is a string or a request, got " .. type(key), 3)
  end
  return key
end

-- Load time only.
function M.new(name, options)
  local o = check(options, LIMIT, "gate.limit")
  if type(name) ~= "string" or not name:find("^[%w_.-]+$") or #name > 64 then
    error("gate.limit: a name has up to 64 letters, digits, '_', '-' and '.'", 2)
  end
  bounds.fill(o, "gate.limit", 2)
  o.name = name
  o.held = o.places and shared.new("tidegate.limit." .. name, { size = "1m" })
  return setmetatable(o, Limit)
end

-- Takes n of the key's requests, one by default. TOO_MANY if they are not there.
function Limit:take(key, n)
  local name = name_of(key, "limit:take")
  if self.requests then
    local wait = core.limit_take(self.name, name, self.requests, self.burst, n or 1)
    if wait > 0 then
      refuse("more requests than are allowed", wait)
    end
  end
end

-- From here on the bytes of the request's bodies are the key's, and wait for its rate.
function Limit:pace(q, key)
  if q.box and (self.up or self.down) then -- a rehearsal has none
    core.limit_pace(q.box, self.name, name_of(key, "limit:pace"), self.up, self.up_burst,
      self.down, self.down_burst)
  end
end

-- What the key holds is a value of its places: "key\0number" = what.
local function place_of(self, name, what)
  for i = 1, self.places do
    local place = name .. "\0" .. i
    if self.held:get(place) == what then
      return place
    end
  end
  return nil
end

-- Holds `what` in one of the key's places until it is released, or nobody has held it anew for the
-- ttl. TOO_MANY if no place is free.
function Limit:hold(key, what)
  local name = name_of(key, "limit:hold")
  if not self.places then
    return
  end
  local mine = place_of(self, name, what)
  if mine then
    self.held:set(mine, what, self.ttl)
    return
  end
  for i = 1, self.places do
    if self.held:add(name .. "\0" .. i, what, self.ttl) then
      return
    end
  end
  refuse(("%d are open, which is as many as are allowed"):format(self.places), AGAIN_S)
end

function Limit:release(key, what)
  local name = name_of(key, "limit:release")
  local mine = self.places and place_of(self, name, what)
  if mine then
    self.held:delete(mine)
  end
end

return M
