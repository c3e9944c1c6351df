-- SPDX-License-Identifier: Apache-2.0
--
-- Sizes and durations: numbers, or strings with a unit.
local M = {}

local SIZE = { b = 1, k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30, t = 2 ^ 40 }
local DURATION = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

local function read(value, units, plain)
  if type(value) == "number" then
    return value >= 0 and value < math.huge and value or nil
  end
  if type(value) ~= "string" then
    return nil
  end
  local digits, unit = value:match("^(%d+%.?%d*)(%a*)$")
  local factor = unit == "" and plain or units[unit]
  return factor and tonumber(digits) * factor
end

-- Bytes, or nil for what is no size. "512k", "4m", "20g": powers of 1024.
function M.size(value)
  local n = read(value, SIZE, 1)
  return n and math.floor(n)
end

-- Seconds, or nil for what is no duration. "200ms", "30s", "5m", "24h", "7d", "2w".
function M.duration(value)
  return read(value, DURATION, nil)
end

-- How many a second, or nil for what is no rate. 20, "20/s", "600/m", "5000/h".
function M.rate(value)
  if type(value) == "number" then
    return value > 0 and value < math.huge and value or nil
  end
  local n, unit = tostring(value):match("^(%d+%.?%d*)/([smh])$")
  n = unit and tonumber(n) / DURATION[unit]
  return n and n > 0 and n or nil
end

return M
