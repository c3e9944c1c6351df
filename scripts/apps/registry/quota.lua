-- SPDX-License-Identifier: Apache-2.0
--
-- How much a repository may hold: the option `quota(user, repo)` → bytes, or nil for no bound. A
-- body is refused before it is read, or cut where it goes over; and what is there when it is
-- complete becomes the repository's only if it still fits. What a repository holds is a matter of
-- holding.lua. Every refusal rests on a fresh count.
local access = require "apps.registry.access"
local gate = require "tidegate"
local holding = require "apps.registry.holding"

local UNITS = { "KiB", "MiB", "GiB", "TiB" }

local M = {}

local function human(n)
  if n < 1024 then return ("%d bytes"):format(n) end
  local unit = 0
  repeat
    n, unit = n / 1024, unit + 1
  until n < 1024 or unit == #UNITS
  return ("%.1f %s"):format(n, UNITS[unit])
end

-- The bound of the request's repository, asked for once; false without one.
local function bound(reg, q)
  if q.quota ~= nil then return q.quota end
  q.asks = "quota"
  local value = reg.quota(q.user, q.repo)
  q.asks = false
  local is_size = type(value) == "number" or type(value) == "string"
  local bytes = value ~= nil and is_size and gate.try(gate.size, value)
  if value ~= nil and not bytes then
    error("quota must return a size or nil, it returned " .. tostring(value), 0)
  end
  q.quota = bytes
  return bytes
end

-- 403: the quota is a rule, and after other codes clients try again.
local function refuse(q, used, size)
  local why = ("the quota of %s is %s, and %s are used"):format(q.repo, human(q.quota),
    human(used))
  gate.decided("quota", false, why)
  access.deny(q, why, { quota = q.quota, used = used, size = size })
end

-- What is used, `coming` included, which is on its way; fails unless so many bytes more fit.
local function fit(reg, q, size, is_told, coming, changes)
  local used = holding.of(reg, q.repo, holding.LOOSE, changes) + coming
  if used + size > q.quota then used = holding.of(reg, q.repo, holding.STRICT, changes) + coming end
  if used + size > q.quota then refuse(q, used, is_told and size or nil) end
  return used
end

-- Before a body is read into an upload that has `held` bytes: fails if what is announced does not
-- fit, or nothing does. Returns how many bytes may come, nil for any number.
function M.room(reg, q, held)
  if not reg.quota or not bound(reg, q) then return nil end
  local size = held + math.max(q.length or 1, 1)
  return q.quota - fit(reg, q, size, (q.length or 0) > 0, holding.coming(reg, q.repo)) - held
end

-- The body has gone over what M.room has said.
function M.cut(reg, q)
  refuse(q, holding.of(reg, q.repo, holding.LOOSE))
end

-- What f() returns. It makes the repository hold so many bytes more, unless `owned` says that it
-- holds them already, or it returns false. Fails before f is called if they do not fit. They count
-- from here on for all that come later, so the same room is given to one only.
function M.keep(reg, q, size, owned, f)
  if not reg.quota or owned or not bound(reg, q) then return f() end
  local coming, changes = holding.expect(reg, q.repo, size)
  local ok, value = pcall(function()
    fit(reg, q, size, true, coming, changes)
    return f()
  end)
  if ok and value then holding.change(reg, q.repo, size) end
  holding.forget(reg, q.repo, size)
  if not ok then error(value, 0) end
  return value
end

-- The repository does not hold a content any more.
function M.drop(reg, repo, target)
  if not reg.quota then return end
  local blob = reg.store:stat(reg.layout.blob(target, repo))
  if blob then holding.change(reg, repo, -blob.size) end
end

return M
