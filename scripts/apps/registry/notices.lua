-- SPDX-License-Identifier: Apache-2.0
--
-- What answers carry besides what their handlers say: warnings for people, from the option `warn`,
-- and OCI-Namespace for a client that has come to a mirror.
local gate = require "tidegate"

local BYTES_MAX = 4096 -- of all warnings of an answer; the specification's
local LINES_MAX = 10
local METHODS = { "get", "put", "post", "patch", "delete" }

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

-- Adds to the headers of an answer that is an error.
function M.namespace(q, r)
  if q.source then r.headers["OCI-Namespace"] = q.source end
  return r
end

local function dress(reg, q, r)
  if reg.warn and r.status < 400 then r.headers["Warning"] = ask(reg, q) end
  return M.namespace(q, r)
end

-- The application as the rooms see it, if there is anything to add to their answers.
function M.around(app, reg)
  if not reg.warn and not next(reg.mirrors) then return app end
  local out = {}
  for _, method in ipairs(METHODS) do
    out[method] = function(_, pattern, handler)
      app[method](app, pattern, function(q) return dress(reg, q, handler(q)) end)
    end
  end
  return out
end

return M
