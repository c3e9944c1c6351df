-- SPDX-License-Identifier: Apache-2.0
--
-- What clients may take: the options that say so, for listeners, addresses and users alike.
local M = {}

local BURST_MIN = 64 * 2 ^ 10 -- bytes; smaller answers are never held up
local MOST = 2 ^ 31

-- Of one party; what is absent bounds nothing.
M.SHARES = {
  requests = "rate",
  burst = { "integer", min = 1, max = MOST },
  up = { "size", min = 1024 },
  down = { "size", min = 1024 },
}

local function with(more)
  local schema = {}
  for name, rule in pairs(M.SHARES) do
    schema[name] = rule
  end
  for name, rule in pairs(more) do
    schema[name] = rule
  end
  return schema
end

local CONNECTIONS = { "integer", min = 1, max = MOST }
M.ADDRESS = with { connections = CONNECTIONS }
M.LISTENER = with { connections = CONNECTIONS, body = { "size", min = 1 },
  per_address = { fields = M.ADDRESS } }

-- Adds what C needs to know besides: how much may come at once after a rest.
function M.fill(o, where, level)
  if o.burst and not o.requests then
    error(where .. ": 'burst' goes with 'requests'", level + 1)
  end
  o.burst = o.burst or o.requests and math.max(1, math.ceil(o.requests))
  o.up_burst = o.up and math.max(o.up, BURST_MIN)
  o.down_burst = o.down and math.max(o.down, BURST_MIN)
  return o
end

return M
