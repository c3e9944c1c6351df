-- SPDX-License-Identifier: Apache-2.0
--
-- Key spaces: what belongs to whom in a store. Who keeps objects says so while the script loads,
-- and two that would write among each other's are told before they do.
local M = {}

local sealed = false -- the script has loaded
local claimed = {} -- by a store's id a list of { what =, prefix =, shared = }

local function within(inner, outer)
  return inner:sub(1, #outer) == outer
end

-- What is made later, by a request, claims nothing.
function M.seal()
  sealed = true
end

-- `what` keeps its objects in the store `id` below `prefix`, "" or what ends with "/". Raises a
-- text when that overlaps with what another one has, unless both share exactly the same.
function M.add(id, prefix, what, shared)
  if sealed then
    return
  end
  local list = claimed[id] or {}
  claimed[id] = list
  for _, other in ipairs(list) do
    local same = other.prefix == prefix
    if not (same and shared and other.shared)
      and (within(prefix, other.prefix) or within(other.prefix, prefix)) then
      error(("%s and %s keep their objects in the same place: '%s' of %s; give one of them "
        .. "store:at \"name\"%s"):format(other.what, what,
        #prefix > #other.prefix and prefix or other.prefix, id,
        same and ", or both 'shared = true'" or ""), 0)
    end
  end
  list[#list + 1] = { what = what, prefix = prefix, shared = shared }
end

return M
