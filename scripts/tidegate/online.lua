-- SPDX-License-Identifier: Apache-2.0
--
-- `tidegate check --online`: each store of the script is written to, read, listed and cleaned, as
-- serving would do it.
local core = require "tidegate.core"
local err = require "tidegate.error"
local store = require "tidegate.store"

local M = {}

local PLACE = "tidegate/check/" -- below every store, and removed afterwards
local TEXT = "written by tidegate check\n"

local made, seen = {}, {}

local make = store.make
function store.make(kind, options)
  local box = make(kind, options)
  local id = core.store_id(box)
  if not seen[id] then
    seen[id] = true
    made[#made + 1] = setmetatable({ box = box, id = id }, store.methods)
  end
  return box
end

local function try(s)
  local key = PLACE .. core.uuid()
  s:put(key, TEXT, { if_absent = true })
  if s:read(key, 1024) ~= TEXT then
    err.raise("CORRUPT", "what was written is not what is read")
  end
  s:list(PLACE)
  s:remove(key)
  return true
end

local function main()
  local failed = 0
  for _, s in ipairs(made) do
    local began = core.now()
    local ok, e = err.try(try, s)
    local said = ok and ("works, %.0f ms"):format((core.now() - began) * 1000) or tostring(e)
    failed = failed + (ok and 0 or 1)
    core.print(("online  %s  %s\n"):format(s.id, said))
  end
  return failed > 0 and 1 or 0
end

-- The script is loaded.
function M.load()
  core.declare("main", main)
end

return M
