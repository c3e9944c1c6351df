-- SPDX-License-Identifier: Apache-2.0
--
-- The control socket: who may use it, where it is, and what status and tasks say.
local gateway = require "spec.gateway"
local lfs = require "lfs"
local socket = require "socket"
local stat = require "posix.sys.stat"
local tool = require "spec.tool"
local unix = require "socket.unix"

local SCRIPT = [[
  local gate = require "tidegate"
  gate.config { listen = gate.env("TIDEGATE_LISTEN"), workers = 1, limits = { slice = "10s" } }
  local mem = gate.store.mem { name = "slow", delay = "20s" }
  local app = gate.app {}
  app:get("/", function() return gate.reply(200, "ok") end)
  app:put("/up/{x}", function(q)
    q.user = { name = "joe\27" }
    q.body:into(nil)
    return gate.reply(201)
  end)
  app:get("/mem", function() return gate.reply(200, mem:read("x", 10)) end)
  app:get("/spin", function()
    local ends = gate.now() + 2.5
    repeat until gate.now() > ends
    return gate.reply(200, "spun")
  end)
  gate.serve { app }
]]

local function socket_of(g)
  return g.data .. "/.tidegate/control.sock"
end

local function dial(g)
  local c = assert(unix())
  c:settimeout(20)
  assert(c:connect(socket_of(g)))
  return c
end

-- Waits until that many requests run.
local function running(g, n)
  local tasks
  local deadline = socket.gettime() + 20
  repeat
    tasks = g:tell("tasks").tasks
    if #tasks == n then return tasks end
  until socket.gettime() > deadline
  error(("%d requests run"):format(#tasks))
end

describe("the control socket", function()
  local g

  setup(function()
    -- the data folder is there before: by default a server makes only what lies below it
    local data = tool.tmpdir()
    g = gateway.start { script = SCRIPT, data = data }
  end)

  teardown(function()
    local data = g.data
    g:stop()
    assert.is_nil(lfs.attributes(data .. "/.tidegate/control.sock"))
    tool.remove(data)
  end)

  it("is its owner's alone", function()
    local mode = assert(stat.stat(socket_of(g))).st_mode
    assert.equal(384, mode % 512)
  end)

  it("tells what the server is and has", function()
    local c = g:raw()
    c:request("GET", "/")
    local s = g:tell("status")
    c:close()
    assert.equal(g.pid, s.pid)
    assert.equal(g.path, s.script)
    assert.same({ "http://" .. g.address }, s.listen)
    assert.same({ "mem:slow" }, s.stores)
    assert.same({ { name = "worker-1", connections = 1, requests = 0, stuck = false } }, s.workers)
    assert.equal(1, #s.generations)
    assert.equal(1, s.generations[1].number)
    assert(s.generations[1].memory > 100000 and s.memory.resident > 10 ^ 6)
    assert(s.memory.buffers == 0 and s.memory.buffers_peak >= 0)
    local ok, text = g:command("status")
    assert.is_true(ok)
    for _, line in ipairs {
      "^tidegate %d+%.%d+%.%d+, pid %d+, up 0m %d+s\n",
      "\nlisten +http://127", "\nstore +mem:slow\n",
      "\ngeneration  1, loaded %d+%-%d+%-%d+T%S+Z, 0 requests, %d+%.%d MiB of Lua\n",
      "\nworker%-1 +%d connections?, 0 requests\n", "\nmemory +%d+%.%d MiB resident, ",
    } do
      assert(text:match(line), line .. "\n" .. text)
    end
  end)

  it("tells what each request waits for", function()
    local up, mem = g:raw(), g:raw()
    up:send("PUT /up/a HTTP/1.1\r\nHost: g\r\nContent-Length: 10\r\n\r\nabc")
    running(g, 1)
    mem:send("GET /mem HTTP/1.1\r\nHost: g\r\n\r\n")
    local tasks = running(g, 2)
    local t = tasks[1]
    assert.same({ "PUT", "/up/a", "joe?", "worker-1" }, { t.method, t.path, t.user, t.worker })
    assert.equal("stream:into", t.wait)
    assert(t.id:match("^%x+$") and #t.id == 16)
    assert(t.seconds >= t.waits and t.seconds < 20)
    assert(t.traceback:match("gateway%.lua:8: in function"), t.traceback)
    t = tasks[2]
    assert.same({ "GET", "/mem", "", "store:read" }, { t.method, t.path, t.user, t.wait })
    local _, text = g:command("tasks")
    assert(text:match("%x+  PUT /up/a\n    worker%-1, since %d+%.%d s, user joe%?, " ..
      "waits for stream:into since %d+%.%d s\n    stack traceback:\n"), text)
    mem:close()
    up:send("defghij")
    assert.equal(201, up:read_reply("PUT").status)
    up:close()
    running(g, 0)
    _, text = g:command("tasks")
    assert.equal("nothing is running\n", text)
  end)

  it("names a worker that is stuck instead of waiting for it", function()
    local c = g:raw()
    c:send("GET /spin HTTP/1.1\r\nHost: g\r\n\r\n")
    socket.sleep(0.1) -- the worker has to be in it
    local began = socket.gettime()
    assert.same({ "worker-1" }, g:tell("tasks").stuck)
    assert.is_true(g:tell("status").workers[1].stuck)
    assert(socket.gettime() - began < 2.2, "the second one did not wait")
    c:read_reply("GET")
    c:close()
    assert.is_false(g:tell("status").workers[1].stuck)
  end)

  it("is not harmed by what others write into it", function()
    local c = dial(g)
    c:send("no such thing\nstatus\n")
    assert.equal('{"error": "no such question"}', c:receive("*a"))
    c:close()
    c = dial(g)
    c:send(("x"):rep(1000))
    assert.is_nil((c:receive(1)))
    c:close()
    for _ = 1, 30 do -- those who ask and leave
      c = dial(g)
      c:send("tasks\n")
      c:close()
    end
    local silent = {}
    for i = 1, 40 do silent[i] = dial(g) end -- more than there is room for
    for _, one in ipairs(silent) do one:close() end
    local deadline = socket.gettime() + 20 -- it has to see first that they are gone
    while not g:command("status") and socket.gettime() < deadline do socket.sleep(0.01) end
    assert.equal(g.pid, g:tell("status").pid)
  end)

  it("belongs to the first of two servers with one data folder", function()
    local other = gateway.start { script = SCRIPT, data = g.data }
    assert(other:logged('no control socket.*error="another server has it"'), other:log())
    assert.equal(g.pid, other:tell("status").pid)
    other:stop()
    assert.equal(g.pid, g:tell("status").pid)
  end)
end)

describe("the place of the control socket", function()
  local folder

  before_each(function() folder = tool.tmpdir() end)
  after_each(function() tool.remove(folder) end)

  it("is taken over from a server that died", function()
    local dead = gateway.start { script = SCRIPT, data = folder }
    dead:kill()
    assert.equal("socket", lfs.attributes(socket_of(dead), "mode"))
    local g = gateway.start { script = SCRIPT, data = folder }
    assert.equal(g.pid, g:tell("status").pid)
    g:stop()
    local ok, out = g:command("status")
    assert.is_false(ok)
    assert.truthy(out:find("no server answers at " .. socket_of(g), 1, true), out)
  end)

  it("is what the environment says", function()
    for _, case in ipairs {
      { { TIDEGATE_CONTROL = folder .. "/c" }, folder .. "/c" },
      { { RUNTIME_DIRECTORY = folder .. "/run:/other" }, folder .. "/run/control.sock" },
      { { TIDEGATE_CONTROL = folder .. "/c", RUNTIME_DIRECTORY = folder }, folder .. "/c" },
    } do
      local g = gateway.start { script = SCRIPT, env = case[1] }
      assert.equal("socket", lfs.attributes(case[2], "mode"))
      assert.equal(g.pid, g:tell("status").pid)
      g:stop()
      assert.is_nil(lfs.attributes(case[2]))
    end
  end)

  it("can be nowhere, and is never a reason not to serve", function()
    for _, case in ipairs {
      { "off", "TIDEGATE_CONTROL is off" },
      { folder .. "/" .. ("x"):rep(200), "no server answers" },
      { "/nowhere/below/c", "no server answers", "its folder is not there; make it, or" },
    } do
      local g = gateway.start { script = SCRIPT, env = { TIDEGATE_CONTROL = case[1] } }
      assert.equal("ok", g:request("GET", "/").body)
      assert.equal(case[1] ~= "off", g:log():find("no control socket", 1, true) ~= nil)
      assert.truthy(g:log():find(case[3] or "", 1, true), g:log())
      local ok, out = g:command("status")
      assert.is_false(ok)
      assert.truthy(out:find(case[2], 1, true), out)
      g:stop()
    end
  end)

  it("is asked by commands that know their arguments", function()
    local program = os.getenv("TIDEGATE_BIN") or "build/tidegate"
    for _, words in ipairs { "reload x", "reload --json", "status --jsn", "tasks --json x" } do
      local _, out = tool.run(program .. " " .. words .. "; echo code $?")
      assert.truthy(out:find("usage: tidegate " .. words:match("%a+"), 1, true), out)
      assert.truthy(out:find("code 2\n", 1, true), out)
    end
  end)
end)
