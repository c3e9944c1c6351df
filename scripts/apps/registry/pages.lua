-- SPDX-License-Identifier: Apache-2.0
--
-- Lists in pages: ?n= (how many at most) and ?last= (go on behind this name), and the Link header
-- that says where the next page is.
--
-- A list leaves out what the user may not see, so filling a page may take any number of looks.
-- After LOOKS_MAX of them it is sent as it is, and the next one goes on behind the name that was
-- looked at last. That name may be a secret: the Link has a token for it (?at=), which stands for
-- a while in the memory of this gateway. Another one, which has never heard of the token, goes on
-- behind ?last= and fills its page however long it takes: what comes is the same.
local gate = require "tidegate"

local PAGE_MAX = 1000
local LOOKS_MAX = 2000
local TOKEN_TTL, TOKEN_SIZE = "10m", 36

local tokens = gate.shared("registry.pages", { size = "256k" })

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

-- The same of a list that leaves names out, which is at this path:
--   path, n   how many names the reply may hold
--   last      the name to go on behind, or nil
--   shown     the same as far as the client knows
--   looks     how many names may be looked at; the list counts down
function M.place(q, path)
  local n, last = M.wanted(q)
  local page = { path = path, n = n, last = last, shown = last, looks = LOOKS_MAX }
  local token = q.query.at
  if token then
    local name = #token == TOKEN_SIZE and tokens:get(path .. "?" .. token)
    page.last = name or last
    page.looks = name and LOOKS_MAX or math.huge
  end
  return page
end

-- The headers of a page with these names: a Link if more follow. `cut` is the name looked at
-- last, if the page ends there because of it.
function M.headers(page, found, more, cut)
  if page.n == 0 or not more and not cut then return {} end
  local query = "n=" .. page.n
  local last = found[#found] or page.shown
  if last then query = query .. "&last=" .. M.escape(last) end
  if cut then
    local token = gate.uuid()
    tokens:set(page.path .. "?" .. token, cut, TOKEN_TTL)
    query = query .. "&at=" .. token
  end
  return { Link = ('<%s?%s>; rel="next"'):format(page.path, query) }
end

return M
