-- SPDX-License-Identifier: Apache-2.0
--
-- What answers carry besides what their handlers say: warnings for people, from the option `warn`,
-- and OCI-Namespace for a client that has come to a mirror.
local gate = require "tidegate"

local BYTES_MAX = 4096 -- of all warnings of an answer; the specification's
local LINES_MAX = 10

local M = {}

-- The lines of the Warning header for these texts; nil for none.
local function lines(texts)
  local found, size = {}, 0
  for _, text in ipairs(texts) do
    local line = '299 - "' .. text:gsub("%c", " "):gsub('[\\"]', "\\%0") .. '"'
    if size + #line > BYTES_MAX or #found == LINES_MAX then
      gate.log.warn("warnings left out", { most = BYTES_MAX, lines = LINES_MAX })
      break
    end
    found[#found + 1] = line
    size = size + #line
  end
  return #found > 0 and found or nil
end

local function is_list(value)
  if type(value) ~= "table" then return false end
  for _, text in ipairs(value) do
    if type(text) ~= "string" then return false end
  end
  return true
end

-- What the option says about this request. It is called when the work is done: a mistake in it
-- goes to the log and changes no answer.
local function ask(reg, q)
  local said, e = gate.try(function()
    return { gate.spawn(reg.warn, q):wait() }
  end)
  if not said then
    gate.log.error("an option's function failed", { option = "warn", why = e.message })
    return nil
  end
  local value = said[1]
  if type(value) == "string" then value = { value } end
  if value and not is_list(value) then
    gate.log.error("an option's function failed",
      { option = "warn", why = "it must return a text, a list of texts or nothing" })
    return nil
  end
  return value and lines(value)
end

-- Lets every answer of the registry carry what there is to add to it.
function M.add(app, reg)
  if not reg.warn and not next(reg.mirrors) then return end
  app:after(function(q, r)
    r.headers = r.headers or {}
    if q.source then r.headers["OCI-Namespace"] = q.source end
    if reg.warn and q.action and r.status < 400 then r.headers["Warning"] = ask(reg, q) end
  end)
end

return M
