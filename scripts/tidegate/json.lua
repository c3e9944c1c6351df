-- SPDX-License-Identifier: Apache-2.0
--
-- gate.json: text and values.
local core = require "tidegate.core"
local err = require "tidegate.error"

local M = { null = core.json_null }

local LONG = 64 * 1024 -- bytes; longer texts are decoded on the pool

-- Waits when the text is long.
function M.decode(text)
  if type(text) ~= "string" then
    error("gate.json.decode: a string is expected, got " .. type(text), 2)
  end
  if #text > LONG and core.in_task() then
    return err.check(core.result(core.json_decode_long(text)))
  end
  return err.check(core.json_decode(text))
end

function M.encode(value)
  local text, wrong = core.json_encode(value)
  if not text then
    error("gate.json.encode: " .. wrong, 2)
  end
  return text
end

-- The same table, marked as a list: an empty one is encoded as [].
function M.array(t)
  return setmetatable(t, core.json_array)
end

function M.is_array(t)
  return getmetatable(t) == core.json_array
end

return M
