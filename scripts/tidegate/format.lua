-- SPDX-License-Identifier: Apache-2.0
--
-- Versions of what tidegate alone writes as JSON: the member `_format`, left out while it is 1.
-- What is of a later one than this program knows is refused by name, and left as it is, for another
-- gateway may need it. docs/stores.md lists all formats.
local err = require "tidegate.error"

local M = {}

-- The record, if its version is `known` or an earlier one. `name` is where it lies.
function M.check(record, known, name)
  local version = record._format
  if version == nil or type(version) == "number" and version >= 1 and version <= known then
    return record
  end
  err.raise("UNSUPPORTED", ("%s: version %s is newer than this program knows (%d)"):format(name,
    tostring(version), known))
end

return M
