-- SPDX-License-Identifier: Apache-2.0
--
-- kill -9 of a gateway at seeded moments of real pushes; then another one serves the same
-- folder, and nothing that was acknowledged is lost and nothing is half there. A killed process
-- leaves what it gave to the kernel: what a dead machine leaves is tried by the crash cases in
-- spec/unit. `make torture` does this 200 times.
local push = require "spec.torture.push"
local pusher = require "spec.pusher"
local socket = require "socket"
local tool = require "spec.tool"
local verify = require "spec.torture.verify"
local wait = require "posix.sys.wait"

local SHORT = 6 -- kills in `make test`
local KILLS = tonumber(os.getenv "TORTURE_KILLS") or SHORT
local SEED = tonumber(os.getenv "TORTURE_SEED") or 1
local PUSHERS = 4
local LONGEST_MS = 200 -- that pushes go on before a kill

describe("kill -9", function()
  local folder, known = tool.tmpdir(), {}
  local data = folder .. "/data"

  -- A gateway on what the one before has left.
  local function begin()
    local g = pusher.registry("", { data = data })
    verify.tree(data, known)
    return g
  end

  -- Pushes, kills, and returns the paths of the journals.
  local function torture(g, round)
    math.randomseed(SEED * 1000 + round)
    local pause, pids, journals = math.random(LONGEST_MS) / 1000, {}, {}
    for i = 1, PUSHERS do
      journals[i] = ("%s/journal-%d"):format(folder, i)
      local repo = ("t/%d-%d"):format(round, i)
      pids[i] = push.start(g, repo, SEED * 1000 + round * PUSHERS + i, journals[i])
    end
    socket.sleep(pause)
    g:kill()
    for _, pid in ipairs(pids) do wait.wait(pid) end
    return journals
  end

  -- Returns how many changes were acknowledged.
  local function check(g, journals)
    local done = 0
    for _, path in ipairs(journals) do
      local changes, faults = verify.journal(path)
      assert.same({}, faults)
      verify.promises(g, changes)
      for _, c in ipairs(changes) do done = done + (c.done and 1 or 0) end
    end
    verify.tree(data, known)
    return done
  end

  it(("loses nothing that was acknowledged, %d times"):format(KILLS), function()
    local g, done = begin(), 0
    for round = 1, KILLS do
      local ok, why = pcall(function()
        local journals = torture(g, round)
        g = begin()
        done = done + check(g, journals)
      end)
      if not ok then g:kill() end
      assert(ok, ("seed %d, kill %d: %s"):format(SEED, round, tostring(why)))
    end
    g:stop()
    verify.tree(data, {})
    assert.is_true(done > KILLS, "there was something to lose")
    if KILLS > SHORT then print(("%d kills, %d changes acknowledged"):format(KILLS, done)) end
  end)

  teardown(function() tool.remove(folder) end)
end)
