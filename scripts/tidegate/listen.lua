-- SPDX-License-Identifier: Apache-2.0
--
-- `listen` of gate.config: an address, a table about one listener, or a list of both.
local check = require("tidegate.check").check
local core = require "tidegate.core"

local M = {}

-- What a listener may say about itself.
local LISTENER = {
  address = { "string", needed = true },
}

-- One entry as C reads it. Errors are raised at `level`, 1 being this function.
local function read(entry, where, level)
  if type(entry) == "string" then
    entry = { address = entry }
  elseif type(entry) ~= "table" then
    error(where .. ": an address or a table about a listener is expected, got "
      .. type(entry), level)
  end
  local o = check(entry, LISTENER, where, level - 1)
  return o
end

-- Several sockets of the service manager under one name are several listeners that say the same.
local function add(out, o)
  for i = 1, math.max(core.handed(o.address), 1) do
    local copy = {}
    for key, value in pairs(o) do
      copy[key] = value
    end
    copy.address = i == 1 and o.address or ("%s#%d"):format(o.address, i)
    out[#out + 1] = copy
  end
end

-- A list of tables. Errors are raised at `level`, 1 being the caller of this function.
function M.read(listen, level)
  local list = listen
  if type(listen) ~= "table" or listen[1] == nil and next(listen) ~= nil then
    list = { listen }
  end
  if #list == 0 then
    error("gate.config: 'listen' must be an address, a table about a listener, or a list"
      .. " of them", level + 1)
  end
  local out = {}
  for i, entry in ipairs(list) do
    local where = "gate.config: listen" .. (list == listen and ("[%d]"):format(i) or "")
    add(out, read(entry, where, level + 2))
  end
  return out
end

return M
