-- SPDX-License-Identifier: Apache-2.0
--
-- Tables whose names are all known: another one is an error that names the nearest of them, at the
-- place where it was asked for.
local checks = require "tidegate.check"

-- Closes t; `what` names it in errors. Of methods it is the table of them: their objects then
-- have no field that is nil.
return function(t, what)
  return setmetatable(t, {
    __index = function(_, name)
      error(("%s has no '%s'%s"):format(what, tostring(name), checks.hint(name, t)), 2)
    end,
  })
end
