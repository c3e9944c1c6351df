-- SPDX-License-Identifier: Apache-2.0
--
-- What was found out about passwords, for a while: computing a hash takes long on purpose, and
-- clients send their password with every request.
--
-- What is remembered is an HMAC of name, password and hash, with a key that this process makes and
-- never shows: neither the password nor a digest that could be looked up elsewhere stays in
-- memory. A changed hash makes another key of the entry, so whatever a new file says is in effect
-- at once. All workers share it. Right and wrong answers are apart, so that a flood of guesses
-- drives no good answer out.
local gate = require "tidegate"

local WRONG_SIZE = "256k"
local WRONG_S = 60

local M = {}

-- `name` tells memories apart; `size` is of the right answers; `ttl` in seconds, 0 for none.
function M.new(name, size, ttl)
  local right = gate.shared(name .. ": right", { size = size })
  local wrong = gate.shared(name .. ": wrong", { size = WRONG_SIZE })
  local secret
  local self = {}

  -- The first worker makes it. Should it be driven out, who comes later makes another one, and
  -- remembers anew.
  local function secret_of_all()
    right:add("secret", gate.random(32))
    secret = right:get "secret"
    return secret
  end

  -- What this is remembered under.
  function self.entry(user, password, hash)
    local text = ("%d:%d:%s%s%s"):format(#user, #password, user, password, hash)
    return gate.hmac("sha256", secret or secret_of_all(), text)
  end

  -- true, false, or nil when it is not known. A right answer that is still asked for stays.
  function self.look(entry)
    if ttl == 0 then return nil end
    local since = right:get(entry)
    if not since then return wrong:get(entry) end
    local now = gate.now()
    if math.abs(now - since) > ttl / 2 then right:set(entry, now, ttl) end
    return true
  end

  function self.keep(entry, is_right)
    if ttl == 0 then return end
    if is_right then
      right:set(entry, gate.now(), ttl)
    else
      wrong:set(entry, false, math.min(ttl, WRONG_S))
    end
  end

  return self
end

return M
