-- SPDX-License-Identifier: Apache-2.0
--
-- Tasks beside requests: spawned ones, timers and jobs, and what becomes of them when their
-- request, the script or the gateway ends. What they do is seen in a shared dictionary.
local gateway = require "spec.gateway"
local json = require "dkjson"
local signal = require "posix.signal"
local socket = require "socket"
local tool = require "spec.tool"

local HEAD = [[
local gate = require "tidegate"
gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = %d }
local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA", durability = "async" }
local seen = gate.shared("seen")
local app = gate.app {}
app:get("/seen/{key}", function(q) return gate.reply(200, tostring(seen:get(q.params.key))) end)
]]
local TAIL = "\ngate.serve { app }\n"

local function script(text, workers)
  return HEAD:format(workers or 1) .. text .. TAIL
end

local PATIENCE_S = 20

-- Asks until the dictionary's value is what the function accepts.
local function becomes(g, key, accept)
  local value
  local deadline = socket.gettime() + PATIENCE_S
  while socket.gettime() < deadline do
    value = g:request("GET", "/seen/" .. key).body
    if accept(value) then return end
    socket.sleep(0.002)
  end
  error(("%s is %s"):format(key, value), 2)
end

local function is(wanted)
  return function(value) return value == wanted end
end

local function at_least(n)
  return function(value) return (tonumber(value) or 0) >= n end
end

describe("gate.spawn", function()
  local g

  -- name, handler; "ok" is the answer of each
  local CASES = {
    { "gives what the function returns, with its nils", [[
      local t = gate.spawn(function(a, b, ...)
        gate.sleep("2ms")
        return a + b, nil, select("#", ...)
      end, 1, 2, nil, nil)
      local sum, nothing, n = t:wait()
      assert(sum == 3 and nothing == nil and n == 2)]] },
    { "runs tasks at the same time", [[
      local began, tasks = gate.now(), {}
      for i = 1, 20 do tasks[i] = gate.spawn(function() gate.sleep("30ms") return i end) end
      for i = 1, 20 do assert(tasks[i]:wait() == i) end
      assert(gate.now() - began < 0.5)]] },
    { "raises what the function raised", [[
      local t = gate.spawn(gate.fail, 418, "TEAPOT", "short")
      local _, e = gate.try(t.wait, t)
      assert(e.code == "TEAPOT" and e.status == 418)]] },
    { "raises INTERNAL for a mistake, which the log has", [[
      local t = gate.spawn(function() error "a mistake of mine" end)
      local _, e = gate.try(t.wait, t)
      assert(e.name == "INTERNAL" and e.status == 500)]] },
    { "hands a result on once", [[
      local t = gate.spawn(function() return 1 end)
      t:wait()
      local ok, e = pcall(t.wait, t)
      assert(not ok and e:find "used up")]] },
    { "may be waited for when it is over", [[
      local t = gate.spawn(function() return 7 end)
      gate.sleep("5ms")
      assert(t:wait() == 7)]] },
    { "cancels a task", [[
      local t = gate.spawn(function()
        local ok, e = pcall(gate.sleep, "1h")
        seen:set("cancelled", tostring(e.name))
        error(e, 0)
      end)
      gate.sleep("2ms")
      t:cancel()
      local ok, e = pcall(t.wait, t)
      assert(not ok and e.name == "CANCELLED" and seen:get "cancelled" == "CANCELLED")]] },
    { "cancels one that has not begun", [[
      local t = gate.spawn(function() seen:set("begun", true) end)
      t:cancel()
      assert(not pcall(t.wait, t) and seen:get "begun" == nil)]] },
    { "waits with a timeout, and can wait again", [[
      local t = gate.spawn(function() gate.sleep("20ms") return "late" end)
      local _, e = gate.try(t.wait, t, "1ms")
      assert(e.name == "TIMEOUT")
      assert(t:wait("10s") == "late")]] },
    { "has room for 32 at once", [[
      for _ = 1, 32 do gate.spawn(gate.sleep, "1h") end
      local ok, e = pcall(gate.spawn, gate.sleep, "1h")
      assert(not ok and e:find("at most 32", 1, true), e)]] },
    { "has room for more when they are over", [[
      for i = 1, 200 do assert(gate.spawn(function() return i end):wait() == i) end]] },
    { "lets tasks have tasks", [[
      local t = gate.spawn(function() return gate.spawn(function() return "deep" end):wait() end)
      assert(t:wait() == "deep")]] },
    { "keeps streams with the task that opened them", [[
      disk:put("s", "text")
      local s = disk:open "s"
      local t = gate.spawn(function() return pcall(s.text, s, 9) end)
      local ok, e = t:wait()
      assert(not ok and e:find "another request's")]] },
    { "lives on when a task dies of its memory", [[
      local t = gate.spawn(function() local x = {} for i = 1, 1e9 do x[i] = { i } end end)
      local _, e = gate.try(t.wait, t)
      assert(e.name == "INTERNAL")]] },
    { "wants functions and durations", [[
      assert(not pcall(gate.spawn, 7) and not pcall(gate.after, "1s") )
      assert(not pcall(gate.after, "x", print_) and not pcall(gate.sleep, "x"))]] },
  }

  setup(function()
    local text = {}
    for i, case in ipairs(CASES) do
      text[i] = ('app:get("/%d", function() %s return gate.reply(200, "ok") end)')
        :format(i, case[2]:gsub("print_", "tostring"))
    end
    text[#text + 1] = [[
      app:get("/leave", function()
        gate.spawn(function() pcall(gate.sleep, "1h") seen:incr "left" end)
        gate.spawn(function() gate.fail(400, "UNHEARD", "nobody listens") end)
        gate.sleep("5ms")
        return gate.reply(200, "ok")
      end)
      app:get("/hang", function()
        gate.spawn(function() pcall(gate.sleep, "1h") seen:incr "hung" end):wait()
      end)]]
    g = gateway.start { script = script(table.concat(text, "\n")) }
  end)
  teardown(function() g:stop() end)

  for i, case in ipairs(CASES) do
    it(case[1], function()
      local reply = g:request("GET", "/" .. i)
      assert.same({ 200, "ok" }, { reply.status, reply.body }, g:log())
    end)
  end

  it("cancels what a request leaves behind, and logs what nobody heard", function()
    assert.equal("ok", g:request("GET", "/leave").body)
    becomes(g, "left", is "1")
    assert.truthy(g:logged "a task failed that nobody waited for.-UNHEARD: nobody listens")
  end)

  it("cancels the tasks of a client that leaves", function()
    local c = g:raw()
    c:send "GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"
    socket.sleep(0.05)
    c:close()
    becomes(g, "hung", is "1")
  end)
end)

describe("gate.after", function()
  it("runs a function once, from the script and from handlers", function()
    local g = gateway.start { script = script [[
      gate.after("1ms", function() seen:incr "loaded" end)
      app:get("/", function(q)
        gate.after(0, function(a, b) seen:set("args", a .. tostring(b)) end, "x", nil)
        gate.after("5ms", function() gate.log.info "later" seen:incr "later" end)
        gate.after(0, function() gate.fail(400, "OOPS", "nobody is told") end)
        return gate.reply(200, q.id)
      end)]] }
    local id = g:request("GET", "/").body
    becomes(g, "loaded", is "1")
    becomes(g, "args", is "xnil")
    becomes(g, "later", is "1")
    assert.truthy(g:logged("OOPS: nobody is told.-stack traceback.-id=" .. id))
    assert.truthy(g:logged("msg=later id=" .. id))
    g:stop()
  end)
end)

describe("gate.every", function()
  local LATE = [[
      gate.every("10ms", "late", function() seen:incr "late" while true do end end)
  ]]

  it("runs a job in each worker, or in one at a time", function()
    local g = gateway.start { script = script([[
      local running = 0
      gate.every("10ms", "each", { on = "worker" }, function()
        running = running + 1
        seen:incr("most-" .. running)
        gate.sleep("15ms") -- longer than the interval
        running = running - 1
        seen:incr "each"
      end)
      gate.every("10ms", "one", { jitter = "2ms" }, function(job)
        assert(job.name == "one" and not job:cancelled())
        if seen:incr "inside" > 1 then seen:set("overlapped", true) end
        gate.sleep("15ms")
        seen:incr("inside", -1)
        seen:incr "one"
      end)
      gate.every("10ms", "broken", function() seen:incr "broken" error "the job's mistake" end)
    ]] .. (tool.watchdog_works and LATE or ""), 3) }
    becomes(g, "each", at_least(9))
    becomes(g, "one", at_least(4))
    becomes(g, "broken", at_least(3))
    assert.equal("nil", g:request("GET", "/seen/most-2").body)
    assert.equal("nil", g:request("GET", "/seen/overlapped").body)
    assert.truthy(g:logged "the job's mistake.-stack traceback.-job=broken")
    if tool.watchdog_works then
      becomes(g, "late", at_least(2))
      assert.truthy(g:logged "job failed.-ran longer than.-job=late")
    end
    g:stop()
  end)

  it("runs a job on one of the gateways of a store", function()
    local data = tool.tmpdir()
    local text = script [[
      gate.every("20ms", "shared", { on = "gateway", store = disk }, function()
        seen:incr "runs"
        local there = disk:stat "inside" -- another one is at it
        if there then seen:set("overlapped", true) end
        disk:put("inside", "")
        gate.sleep("5ms")
        disk:remove "inside"
      end)]]
    local a = gateway.start { script = text, data = data }
    local b = gateway.start { script = text, data = data }
    local function runs(g) return tonumber(g:request("GET", "/seen/runs").body) or 0 end
    becomes(a, "runs", function() return runs(a) + runs(b) >= 6 end)
    assert.equal("nil", a:request("GET", "/seen/overlapped").body)
    assert.equal("nil", b:request("GET", "/seen/overlapped").body)
    -- the other one goes on when one is stopped, wherever its job was
    if runs(b) < runs(a) then a, b = b, a end
    b:stop()
    becomes(a, "runs", at_least(runs(a) + 2))
    a:stop()
    tool.remove(data)
  end)

  it("gives the lease back at a clean stop, wherever that meets the job", function()
    local data = tool.tmpdir()
    local text = script [[
      gate.every("10ms", "shared", { on = "gateway", store = disk }, function()
        seen:incr "runs"
        gate.sleep "3ms"
      end)]]
    for i = 1, 8 do
      local g = gateway.start { script = text, data = data }
      becomes(g, "runs", at_least(1))
      socket.sleep(i / 500)
      g:stop()
      local record = json.decode(tool.read(data .. "/tidegate/jobs/shared"))
      assert.equal(0, record.ends)
    end
    tool.remove(data)
  end)

  it("leaves a job to the gateway that holds the lease", function()
    local g = gateway.start { script = script [[
      gate.every("10ms", "shared", { on = "gateway", store = disk }, function()
        seen:incr "runs"
      end)
      app:put("/lease", function(q)
        local text = gate.json.encode {
          holder = "another", ends = gate.now() + tonumber(q.query.s), due = 0 }
        repeat
          local version = disk:stat("tidegate/jobs/shared").etag
        until gate.try(disk.put_if, disk, "tidegate/jobs/shared", text, version)
        seen:delete "runs"
        return gate.reply(200)
      end)]] }
    becomes(g, "runs", at_least(2))
    g:request("PUT", "/lease?s=3600")
    socket.sleep(0.05)
    local runs = tonumber(g:request("GET", "/seen/runs").body) or 0
    assert.is_true(runs <= 1) -- the one that was on its way
    g:request("PUT", "/lease?s=-1")
    becomes(g, "runs", at_least(1))
    g:stop()
  end)

  it("leaves a lease of a later version as it is, and says so", function()
    local data = tool.tmpdir()
    local lease = '{"_format":2,"holder":"another","ends":0,"due":0}'
    tool.must("mkdir -p " .. data .. "/tidegate/jobs")
    tool.write(data .. "/tidegate/jobs/shared", lease)
    local g = gateway.start { data = data, script = script [[
      gate.every("10ms", "shared", { on = "gateway", store = disk }, function()
        seen:incr "runs"
      end)]] }
    assert.truthy(g:logged "tidegate/jobs/shared: version 2 is newer than this program knows %(1%)")
    assert.equal("nil", g:request("GET", "/seen/runs").body)
    g:stop()
    assert.equal(lease, tool.read(data .. "/tidegate/jobs/shared"))
    tool.remove(data)
  end)

  for text, message in pairs {
    ['gate.every("1h", "a", { on = "all" }, print_)'] = 'must be "worker" or "one" or "gateway"',
    ['gate.every("1h", "a", { on = "gateway" }, print_)'] = "'store' must be a store",
    ['gate.every("1h", "a", { store = gate.store.mem { name = "x" } }, print_)'] =
      "'store' must be a store",
    ['gate.every("1h", "a b", print_)'] = "a name has letters",
    ['gate.every("1h", ("a"):rep(65), print_)'] = "a name has 1 to 64 bytes",
    ['gate.every("1ms", "a", print_)'] = 'at least "10ms"',
    ['gate.every("1h", "a", print_) gate.every("2h", "a", print_)'] = "two jobs of one name",
    ['gate.every("1h", "a")'] = "a function is expected",
    ['gate.sleep("1s")'] = "not while the script loads",
    ['gate.spawn(print_)'] = "not while the script loads",
    ['gate.shared("s"):set("a", 1)'] = "not while the script loads",
    ['gate.shared("s", { size = "1k" })'] = "must be from",
    ['gate.shared("s") gate.shared("s", { size = "2m" })'] = "has another size already",
  } do
    it("refuses: " .. text, function()
      gateway.refuses((text:gsub("print_", "tostring")), message)
    end)
  end
end)

describe("what runs in the background", function()
  local JOBS = [[
    gate.every("10ms", "job", function(job)
      seen:incr "begun"
      pcall(gate.sleep, "1h")
      if job:cancelled() then seen:incr "ended" end
    end)
    gate.every("1h", "hourly", function() end)
    gate.after("1h", function() end)
    app:get("/after", function()
      gate.after(0, function()
        gate.sleep(%s)
        seen:incr "finished"
        gate.log.info "finished"
      end)
      return gate.reply(200)
    end)]]

  it("ends with a reload: jobs at once, other tasks by themselves", function()
    local g = gateway.start { script = script(JOBS:format '"100ms"') }
    becomes(g, "begun", is "1")
    g:request("GET", "/after")
    signal.kill(g.pid, signal.SIGHUP)
    assert.truthy(g:logged "msg=reloaded")
    becomes(g, "ended", is "1")
    becomes(g, "begun", is "2") -- and not before the first one has ended
    becomes(g, "finished", is "1")
    g:stop()
  end)

  it("ends with the gateway", function()
    local g = gateway.start { script = script(JOBS:format '"50ms"') }
    becomes(g, "begun", is "1")
    g:request("GET", "/after")
    signal.kill(g.pid, signal.SIGTERM)
    assert.truthy(g:logged "msg=finished")
    g:wait()
    g:stop()
  end)

  it("is shown by `tidegate tasks`, with what it waits for", function()
    local g = gateway.start { script = script [[
      gate.every("10ms", "sleeper", function() pcall(gate.sleep, "1h") end)
      app:get("/begin", function(q)
        gate.after(0, function() pcall(gate.sleep, "1h") end)
        gate.spawn(function() disk:stat "x" pcall(gate.sleep, "1h") end):wait()
        return gate.reply(200)
      end)]] }
    local c = g:raw()
    c:send "GET /begin HTTP/1.1\r\nHost: h\r\n\r\n"
    local found, deadline = {}, socket.gettime() + 20
    repeat
      local told = g:tell "tasks"
      for _, t in ipairs(told.background) do
        if t.wait == "gate.sleep" then found[t.kind] = t end
      end
      found.request = told.tasks[1]
    until found.job and found["gate.after"] and found["gate.spawn"] and found.request
      or socket.gettime() > deadline
    assert.same({ "sleeper", "", "worker-1" },
      { found.job.name, found.job.id, found.job.worker })
    for _, kind in ipairs { "gate.after", "gate.spawn" } do
      assert.same({ "", found.request.id }, { found[kind].name, found[kind].id })
      assert(found[kind].seconds >= found[kind].waits)
      assert(found[kind].traceback:find "gateway%.lua:%d+: in function")
    end
    local _, text = g:command "tasks"
    for _, line in ipairs {
      "\njob sleeper\n    worker%-1, since %d+%.%d s, waits for gate.sleep since",
      "\ngate%.after of %x+\n    worker%-1", "\ngate%.spawn of %x+\n" } do
      assert(text:find(line), text)
    end
    c:close()
    g:signal(signal.SIGTERM)
    assert.truthy(g:logged "draining")
    g:stop() -- the second one: nobody waits for an hour
  end)

  it("ends at once at the second signal", function()
    local g = gateway.start { script = script(JOBS:format '"1h"') }
    becomes(g, "begun", is "1")
    g:request("GET", "/after")
    signal.kill(g.pid, signal.SIGTERM)
    assert.truthy(g:logged "draining")
    signal.kill(g.pid, signal.SIGTERM)
    g:wait()
    g:stop()
  end)
end)
