-- SPDX-License-Identifier: Apache-2.0
--
-- A namespace: the registry with the prefix "/v2/NAME" owns the repositories NAME/… of its host.
-- Inside, and so in the store, in hooks and events, they go without NAME; clients always see it.
local M = {}

-- Of a registry's prefix: outer(repo) is the name that clients know, inner(name) the one that is
-- used here, or nil for a repository of somebody else.
function M.new(prefix)
  local before = prefix and prefix:match "^/v2(/.+)$"
  before = before and before:sub(2) .. "/" or ""
  return {
    outer = function(repo) return before .. repo end,
    inner = function(name)
      if name:sub(1, #before) ~= before then return nil end
      return name:sub(#before + 1)
    end,
  }
end

return M
