-- SPDX-License-Identifier: Apache-2.0
--
-- What the rules of a script decide, for who wants to hear it: `tidegate explain` does.
local M = {}

local heard

-- Tells that a rule has let something pass, or not, and why. Costs nothing unless it is heard.
function M.decided(rule, allowed, why)
  if heard then
    heard(rule, allowed and true or false, why)
  end
end

-- Tells that a rule would be asked, if the request got so far.
function M.undecided(rule, why)
  if heard then
    heard(rule, nil, why)
  end
end

-- f(rule, allowed, why) hears of every decision from here on; allowed is nil for a rule that was
-- not asked.
function M.hear(f)
  heard = f
end

return M
