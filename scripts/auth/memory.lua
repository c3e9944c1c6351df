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

-- how long to wait for somebody else's answer: 200 times 10 ms, then it is computed anyway
local WAIT, PATIENCE = "10ms", 200

local M = {}

-- `name` tells memories apart; `size` is of the right answers; `ttl` in seconds, 0 for none.
function M.new(name, size, ttl)
  local right = gate.shared(name .. ": right", { size = size })
  local wrong = gate.shared(name .. ": wrong", { size = WRONG_SIZE })
  local secret
  local computing = {} -- entries, in this worker
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
  local function look(entry)
    local since = right:get(entry)
    if not since then return wrong:get(entry) end
    local now = gate.now()
    if math.abs(now - since) > ttl / 2 then right:set(entry, now, ttl) end
    return true
  end

  local function keep(entry, is_right)
    if is_right then
      right:set(entry, gate.now(), ttl)
    else
      wrong:set(entry, false, math.min(ttl, WRONG_S))
    end
  end

  -- Many who come with the same password at once, as a farm does after a restart, are one check.
  local function wait_for_others(entry)
    for _ = 1, PATIENCE do
      local is_right = look(entry)
      if is_right ~= nil or not computing[entry] then return is_right end
      gate.sleep(WAIT)
    end
    return nil
  end

  -- What f returns, true or false, or has returned a while ago. Waits.
  function self.ask(entry, f)
    if ttl == 0 then return f() end
    local is_right = wait_for_others(entry)
    if is_right ~= nil then return is_right end
    computing[entry] = true
    local ok, answer = pcall(f)
    computing[entry] = nil
    if not ok then error(answer, 0) end
    keep(entry, answer)
    return answer
  end

  return self
end

return M
