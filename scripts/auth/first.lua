-- SPDX-License-Identifier: Apache-2.0
--
-- auth.first { a, b, … }: asks one authenticator after the other, and the first that knows the
-- user is right. Who calls credentials wrong does not end that: each has its own users, and all
-- are asked, so that the time tells nobody which of them knows a name.
--
-- Where auth.anonymous is the last, credentials that nobody knows are as good as none for GET and
-- HEAD: clients send those of another registry along, or old ones, and what everybody may read
-- must not break by it. The user is nobody then and has what he sent said of him in `refused`; what
-- nobody may do is refused with these words. Everything else is 401: who wants to change something
-- is told that his password is wrong.
local gate = require "tidegate"

local READS = { GET = true, HEAD = true }

local function check(list)
  if type(list) ~= "table" or #list == 0 then
    error("auth.first: a list of authenticators is expected", 3)
  end
  for key, a in pairs(list) do
    if type(key) ~= "number" then
      error(("auth.first: unknown option '%s'"):format(tostring(key)), 3)
    elseif type(a) ~= "table" or type(a.identify) ~= "function" then
      error(("auth.first: number %d is no authenticator"):format(key), 3)
    elseif a.everybody and key < #list then
      error(("auth.first: nothing behind number %d is ever asked"):format(key), 3)
    end
  end
end

local function nobody(q, a, refused)
  if not refused then return a.identify(q) end
  if not READS[q.method] then error(refused, 0) end
  return { name = "", refused = refused.message }
end

-- The user, or nil and the first refusal, if there was one.
local function ask(list, q)
  local refused
  for i = 1, #list do
    local a = list[i]
    if a.everybody then return nobody(q, a, refused) end
    local user, e = gate.try(a.identify, q)
    if user then return user end
    if e and e.status ~= 401 then error(e, 0) end
    refused = refused or e
  end
  return nil, refused
end

local function any(list, field)
  for _, a in ipairs(list) do
    if a[field] then return a[field] end
  end
  return nil
end

return function(list)
  check(list)
  return {
    challenge = any(list, "challenge"),
    passwords = any(list, "passwords"),
    everybody = any(list, "everybody"),
    identify = function(q)
      local user, refused = ask(list, q)
      if refused then error(refused, 0) end
      return user
    end,
  }
end
