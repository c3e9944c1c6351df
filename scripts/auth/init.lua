-- SPDX-License-Identifier: Apache-2.0
--
-- Who is asking. An authenticator is a table:
--   identify(q)   the user, a table with a `name`; nil when it knows nothing about the request.
--                 Wrong credentials are gate.fail(401, …)
--   challenge     what WWW-Authenticate says to those who should have said who they are
local M = {}

-- Everybody is nobody: the user with the empty name.
M.anonymous = {
  identify = function() return { name = "" } end,
  challenge = 'Basic realm="tidegate"',
}

return M
