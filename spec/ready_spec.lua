-- SPDX-License-Identifier: Apache-2.0
-- gate.ready: whether requests are welcome, said in a bounded time.
local gateway = require "spec.gateway"
local json = require "dkjson"
local socket = require "socket"
local tool = require "spec.tool"

local g, data
after_each(function()
  if g then g:stop() end
  if data then tool.remove(data) end
  g, data = nil, nil
end)

local function start(stores, options)
  data = tool.tmpdir()
  g = gateway.start { data = data, script = ([[
local gate = require "tidegate"
gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 1 }
%s
gate.serve { gate.health "/healthz", gate.ready("/readyz", %s) }
]]):format(stores, options or "{}") }
end

local function ask()
  local began = socket.gettime()
  local reply = g:request("GET", "/readyz")
  return reply.status, assert(json.decode(reply.body)), socket.gettime() - began
end

describe("gate.ready", function()
  it("says yes when every store answers, to HEAD too", function()
    start [[gate.store.fs { root = gate.env "TIDEGATE_DATA" }
gate.store.mem { name = "ready" }]]
    local status, answer = ask()
    assert.same({ 200, { ready = true, failed = {} } }, { status, answer })
    local reply = g:request("HEAD", "/readyz")
    assert.same({ 200, "", "no-store" }, { reply.status, reply.body, reply.header "Cache-Control" })
    assert.equal(405, g:request("PUT", "/readyz").status)
  end)

  it("says which store fails, and by what, but not where it lies", function()
    start [[gate.store.fs { root = gate.env "TIDEGATE_DATA" }
gate.store.mem { name = "secret-name", fail = "list:IO:1" }]]
    local status, answer = ask()
    assert.equal(503, status)
    assert.falsy(answer.ready)
    assert.same({ { part = "store", kind = "mem", number = 2, why = "IO" } }, answer.failed)
    assert(g:logged "a store is not ready.-secret.name")
    assert.equal(200, (ask()))
  end)

  it("waits no longer than its time for a store that hangs, nor asks it again at once", function()
    start([[gate.store.mem { name = "slow", delay = "800ms" }
gate.store.mem { name = "quick" }]], '{ timeout = "100ms" }')
    local status, answer, took = ask()
    assert.equal(503, status)
    assert.same({ { part = "store", kind = "mem", number = 1, why = "TIMEOUT" } }, answer.failed)
    assert.truthy(took > 0.09 and took < 0.7, took)
    local again, _, at_once = ask()
    assert.equal(503, again)
    assert.truthy(at_once < 0.09, at_once)
    assert.equal(200, g:request("GET", "/healthz").status)
  end)

  it("says no while the gateway drains", function()
    start [[gate.store.mem { name = "ready" }]]
    assert.equal(200, (ask()))
    assert(g:command "drain --delay 3")
    local status, answer = ask()
    assert.equal(503, status)
    assert.same({ { part = "gateway", why = "DRAINING" } }, answer.failed)
    assert.equal(200, g:request("GET", "/healthz").status)
  end)

  it("refuses options it does not know", function()
    for options, message in pairs {
      ["{ timeot = 1 }"] = "did you mean 'timeout'",
      ["{ timeout = 0 }"] = "'timeout' must be from",
    } do
      local ok, why = pcall(start, "", options)
      assert.falsy(ok)
      assert.truthy(why:find(message, 1, true), why)
      tool.remove(data)
    end
  end)
end)
