-- SPDX-License-Identifier: Apache-2.0
--
-- Who guesses passwords, on many connections at once, costs others nothing: passwords are checked
-- by few threads, in a queue with an end.
local pusher = require "spec.pusher"
local socket = require "socket"
local tool = require "spec.tool"
local users = require "spec.users"

local SECRET = "tr0ub4dor"
local GUESSERS = 64
local COST = 9
local QUEUE = 32 -- for each check that may run at once; one for two cores

local SCRIPT = [[
  local gate = require "tidegate"
  local auth = require "auth"
  gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 2 }
  gate.serve { require "apps.registry" {
    store = gate.store.fs { root = gate.env "TIDEGATE_DATA" }, auth = auth.htpasswd "users" } }
]]

describe("a crowd with one password", function()
  it("gets in by one check in each worker", function()
    local g = users.start(SCRIPT, { users = users.line("ann", SECRET, COST) })
    local crowd, before = {}, users.worked(g)
    for i = 1, GUESSERS do
      crowd[i] = g:raw()
      assert(crowd[i]:send(("GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n")
        :format(users.basic("ann", SECRET))))
    end
    for _, c in ipairs(crowd) do
      assert.equal(200, c:read_reply().status)
      c:close()
    end
    -- two checks are 60 ms, one for each of the crowd would be 2 s
    assert.is_true(users.worked(g) - before < 0.6)
    users.stop(g)
  end)
end)

describe("a flood of wrong passwords", function()
  local g, crowd

  before_each(function()
    g = users.start(SCRIPT, { users = users.line("ann", SECRET, COST) })
    assert.equal(200, g:request("GET", "/v2/", users.as("ann", SECRET)).status)
    crowd = {}
    for i = 1, GUESSERS do
      crowd[i] = g:raw()
      assert(crowd[i]:send(("GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n")
        :format(users.basic(i % 2 == 0 and "ann" or "eve", "guess" .. i))))
    end
  end)

  after_each(function()
    for _, c in ipairs(crowd) do c:close() end
    users.stop(g)
  end)

  -- How many of the crowd have been answered by now.
  local function answered()
    local sockets = {}
    for i, c in ipairs(crowd) do sockets[i] = c.socket end
    return #socket.select(sockets, nil, 0)
  end

  it("leaves the time of others alone, and is told to come again", function()
    local c, times = g:raw(), {}
    for i = 1, 30 do
      local began = socket.gettime()
      assert.equal(200, c:request("GET", "/v2/", users.as("ann", SECRET)).status)
      times[i] = socket.gettime() - began
    end
    c:close()
    local early = answered()
    assert.is_true(early < GUESSERS, "the others have waited for the crowd")
    table.sort(times)
    assert.is_true(times[15] < 0.05, "half of the requests took longer than " .. times[15])
    local count = { [401] = 0, [429] = 0 }
    for _, one in ipairs(crowd) do
      local reply = one:read_reply()
      count[reply.status] = count[reply.status] + 1
      if reply.status == 429 then
        assert.equal("5", reply.header "retry-after")
        assert.equal("TOOMANYREQUESTS", (pusher.code(reply)))
      end
    end
    local at_once = math.max(1, math.floor(tonumber(tool.must "nproc") / 2))
    assert.is_true(count[401] >= math.min(GUESSERS, QUEUE))
    if QUEUE * at_once * 3 / 2 < GUESSERS then assert.is_true(count[429] > 0) end
  end)

  it("shows in tasks as what it is, without what was sent", function()
    local _, out = g:command "tasks"
    assert.truthy(out:find("waits for gate.password.verify", 1, true), out)
    for _, text in ipairs { out, g:log() } do
      assert.is_nil(text:find("guess", 1, true))
      assert.is_nil(text:find(users.basic("ann", "guess64"):sub(7), 1, true))
    end
  end)

  it("leaves with its clients", function()
    for i, c in ipairs(crowd) do
      c:close()
      crowd[i] = nil
    end
    local before, status = users.worked(g), nil
    for _ = 1, 500 do
      status = g:request("GET", "/v2/", users.as("ann", "another")).status
      if status ~= 429 then break end
      socket.sleep(0.005)
    end
    assert.equal(401, status)
    assert.is_true(users.worked(g) - before < 1, "what nobody waits for is computed")
  end)
end)
