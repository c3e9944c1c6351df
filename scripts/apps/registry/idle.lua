-- SPDX-License-Identifier: Apache-2.0
--
-- Uploads that nobody goes on with: the option `uploads_expire`. One of the gateways walks the
-- repositories now and then and ends the sessions to which nothing has been sent for so long,
-- whoever has begun them. What makes that safe is a matter of reg.sessions (forms/append.lua).
local gate = require "tidegate"
local listing = require "apps.registry.listing"
local units = require "tidegate.units"
local uploads = require "apps.registry.uploads"

local LEAST_S = 120 -- some times what a session that is in use may be silent for
local LOOKS, LONGEST_S = 24, 3600 -- in the time of the option; between two
local NAMES = 100 -- of one folder in memory

local M = {}

-- The option in seconds; nil for "never", and for a layout that lacks what is needed, unless the
-- option stands there. Raises a string.
function M.read(option, layout, form)
  if option == "never" then return nil end
  local can = form.expire and layout.upload_sessions
  if option == nil then return can and 24 * 3600 or nil end
  local seconds = units.duration(option)
  if not seconds or seconds < LEAST_S then
    error("'uploads_expire' must be \"never\", or a duration of at least \"2m\"", 0)
  elseif not can then
    error("'uploads_expire' needs a layout that says by 'upload_sessions' where uploads are", 0)
  end
  return seconds
end

-- The sessions of a repository.
local function look(reg, repo, before)
  local list = listing.new(reg.store, reg.layout.upload_sessions(repo), nil, NAMES)
  for id in list.next, list do
    local size = reg.sessions.expire(reg, repo, id, before)
    if size then
      uploads.count "expired"
      gate.log.info("upload expired", { repo = reg.space.outer(repo), upload = id, size = size })
    end
  end
end

-- All folders below that of `name`, those of repositories and those on the way there. Where the
-- sessions are elsewhere, each place is visited once: `seen`.
local function walk(reg, name, before, seen)
  local prefix = reg.form.below(reg, name)
  local sessions = name and reg.layout.upload_sessions(name)
  local is_apart = sessions and sessions:sub(1, #prefix) ~= prefix
  if is_apart and not seen[sessions] then
    seen[sessions] = true
    look(reg, name, before)
  end
  local list = listing.new(reg.store, prefix, nil, NAMES)
  for child in list.next, list do
    if prefix .. child .. "/" == sessions then
      look(reg, name, before)
    elseif child ~= reg.layout.marker and child:sub(1, 1) ~= reg.layout.reserved then
      walk(reg, name and name .. "/" .. child or child, before, seen)
    end
  end
end

function M.expire(reg)
  walk(reg, nil, gate.now() - reg.uploads_expire, {})
end

-- The job, on one of the gateways. Load time only.
function M.start(reg)
  if not reg.uploads_expire then return end
  gate.every(math.min(reg.uploads_expire / LOOKS, LONGEST_S), "registry.uploads." .. reg.name,
    { on = "gateway", store = reg.store }, function()
      if not gate.readonly() then M.expire(reg) end
    end)
end

return M
