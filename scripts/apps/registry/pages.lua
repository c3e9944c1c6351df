-- SPDX-License-Identifier: Apache-2.0
--
-- Lists in pages: ?n= (how many at most) and ?last= (go on behind this name), and the Link header
-- that says where the next page is.
local gate = require "tidegate"

local PAGE_MAX = 1000

local M = {}

-- A text as a value in a query.
function M.escape(text)
  return (text:gsub("[^A-Za-z0-9_.~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- How many names the reply may hold, and the name to go on behind (or nil).
function M.wanted(q)
  local n = q.query.n
  if n == nil then return PAGE_MAX, q.query.last end
  if not n:find("^%d+$") then
    gate.fail(400, "PAGINATION_NUMBER_INVALID", "n is no number of names", { n = n })
  end
  return math.min(tonumber(n), PAGE_MAX), q.query.last
end

-- The headers of a page: with a Link if more names follow it.
function M.headers(path, n, page, more)
  if not more or n == 0 then return {} end
  local last = M.escape(page[#page])
  return { Link = ('<%s?n=%d&last=%s>; rel="next"'):format(path, n, last) }
end

return M
