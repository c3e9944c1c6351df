-- SPDX-License-Identifier: Apache-2.0
--
-- A name and a password, as HTTP's Basic scheme sends them (RFC 7617). A registry gives the same
-- letters out as a token (apps/registry/token.lua), so a Bearer is read in the same way.
local gate = require "tidegate"

local NAME_MAX = 255 -- bytes

-- The name and the password; nil when the request has none; false when it has what cannot be
-- understood: broken, or meant for somebody else. Clients say that they are nobody by an empty
-- name with an empty password.
return function(q)
  local header = q.authorization
  if not header then return nil end
  local scheme, text = header:match "^(%a+) +([%w+/]+=*)$"
  scheme = scheme and scheme:lower()
  if scheme ~= "basic" and scheme ~= "bearer" then return false end
  local plain = gate.base64.decode(text)
  local colon = plain and plain:find(":", 1, true)
  if not colon or colon > NAME_MAX + 1 then return false end
  if plain == ":" then return nil end
  return plain:sub(1, colon - 1), plain:sub(colon + 1)
end
