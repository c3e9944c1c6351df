-- SPDX-License-Identifier: Apache-2.0
--
-- Clients that really are at work at the same time: each in a process of its own.
local json = require "dkjson"
local stdlib = require "posix.stdlib"
local time = require "posix.time"
local tool = require "spec.tool"
local unistd = require "posix.unistd"
local wait = require "posix.sys.wait"

local M = {}

-- Seconds; the same clock in every process.
function M.now()
  local t = time.clock_gettime(time.CLOCK_MONOTONIC)
  return t.tv_sec + t.tv_nsec / 1e9
end

local function child(path, f, i)
  local ok, result = pcall(f, i)
  tool.write(path, json.encode { ok = ok, result = ok and result or tostring(result) })
  unistd._exit(0)
end

-- Runs f(1) … f(n), each in a process; returns what they return, which has to have a form in JSON.
-- Fails with the message of one that has failed.
function M.run(n, f)
  local folder, pids, results = tool.tmpdir(), {}, {}
  for i = 1, n do
    local pid = assert(unistd.fork())
    if pid == 0 then child(("%s/%d"):format(folder, i), f, i) end
    pids[i] = pid
  end
  for i = 1, n do
    wait.wait(pids[i])
    results[i] = json.decode(tool.read(("%s/%d"):format(folder, i)) or "{}")
  end
  tool.remove(folder)
  for i = 1, n do
    assert(results[i].ok, ("client %d: %s"):format(i, tostring(results[i].result)))
    results[i] = results[i].result
  end
  return results
end

-- A seed for what a spec leaves to chance, printed so that a failure can be had again by the
-- environment variable SEED.
function M.seed()
  local seed = tonumber(stdlib.getenv "SEED") or os.time() % 1000000
  io.stderr:write(("SEED=%d\n"):format(seed))
  return seed
end

return M
