-- SPDX-License-Identifier: Apache-2.0
--
-- auth.htpasswd("users", options): names and bcrypt hashes in a file beside the script.
--
-- An unknown name costs what a known one does: a hash that no password has, of the highest cost in
-- the file, is computed for it. So neither answer nor time tell who has an account.
local basic = require "auth.basic"
local check = require("tidegate.check").check
local gate = require "tidegate"
local memory = require "auth.memory"
local users = require "auth.users"

local OPTIONS = {
  groups = "string",
  remember = { "duration", default = 300, max = 86400 },
  memory = { "size", default = 2 ^ 20, min = 64 * 2 ^ 10, max = 2 ^ 30 },
  realm = { "string", default = "tidegate" },
}

local NO_GROUPS = { value = {} }

-- Salt and digest are well-formed and nobody's.
local function nobodys_hash(cost)
  return ("$2b$%02d$"):format(cost) .. ("."):rep(53)
end

return function(name, options)
  if type(name) ~= "string" or name == "" then
    error("auth.htpasswd: the name of a file is expected", 2)
  end
  local o = check(options or {}, OPTIONS, "auth.htpasswd")
  if o.realm:find '[%c"\\]' then
    error("auth.htpasswd: 'realm' holds no quotes, backslashes or control characters", 2)
  end
  local file = gate.file(name, { read = users.users(name) })
  local groups = o.groups and gate.file(o.groups, { read = users.groups(o.groups) }) or NO_GROUPS
  local known = memory.new("auth.htpasswd " .. name, o.memory, o.remember)

  local function is_right(user, password)
    local hash = file.value.hashes[user]
    local against = hash or nobodys_hash(file.value.cost)
    return known.ask(known.entry(user, password, against), function()
      return gate.password.verify(password, against) and hash ~= nil
    end)
  end

  return {
    passwords = true,
    challenge = ('Basic realm="%s"'):format(o.realm),
    identify = function(q)
      local user, password = basic(q)
      if user == nil then return nil end
      if not user or not is_right(user, password) then
        gate.fail(401, "UNAUTHORIZED", "wrong user name or password")
      end
      return { name = user, groups = groups.value[user] or {} }
    end,
  }
end
