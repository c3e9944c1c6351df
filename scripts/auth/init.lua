-- SPDX-License-Identifier: Apache-2.0
--
-- Who is asking. An authenticator is a table:
--   identify(q)   the user, a table with a `name`; nil when the request says nothing that it
--                 understands. Wrong credentials are gate.fail(401, …). May wait
--   challenge     what WWW-Authenticate says to those who should have said who they are
--   passwords     true: it understands names and passwords
--   everybody     true: it never says nil
local M = {
  first = require "auth.first",
  htpasswd = require "auth.htpasswd",
}

-- Everybody is nobody: the user with the empty name.
M.anonymous = {
  identify = function() return { name = "" } end,
  challenge = 'Basic realm="tidegate"',
  everybody = true,
}

return M
