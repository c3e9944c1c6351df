-- SPDX-License-Identifier: Apache-2.0
--
-- What the rules of a script decide, for who wants to hear it: `tidegate explain` does.
local M = {}

local heard

-- Tells that a rule has let something pass, or not, and why. Costs nothing unless it is heard.
function M.decided(rule, allowed, why)
  if heard then
    heard(rule, allowed, why)
  end
end

-- f(rule, allowed, why) hears of every decision from here on.
function M.hear(f)
  heard = f
end

return M
