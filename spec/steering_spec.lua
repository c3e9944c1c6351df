-- SPDX-License-Identifier: Apache-2.0
--
-- What an operator can tell a running gateway: to change nothing for a while, and to end.
local gateway = require "spec.gateway"
local pusher = require "spec.pusher"
local signal = require "posix.signal"
local socket = require "socket"
local tool = require "spec.tool"

local SCRIPT = [[
  local gate = require "tidegate"
  gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 2 }
  local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA", durability = "async" }
  local mem = gate.store.mem { name = "steering" }
  local seen = gate.shared "seen"
  local art = gate.space { store = disk, key = function(p) return "art/" .. p.name end }
  local app = gate.app {}
  gate.every("10ms", "writer", function()
    local ok, e = gate.try(disk.put, disk, "job", "x")
    seen:set("job", ok and "wrote" or e.name)
  end)
  local function key(q) return q.params.key end
  app:put("/o/{key}", function(q)
    q.body:into(disk:create(key(q)))
    disk:put("beside-" .. key(q), "x")
    return gate.reply(201, tostring(gate.readonly()))
  end)
  app:get("/o/{key}", function(q)
    return gate.reply(200, disk:open(key(q)) or gate.fail(404, "UNKNOWN"))
  end)
  app:get("/modes", function()
    return gate.reply(200, tostring(gate.readonly()) .. " " .. tostring(gate.draining()))
  end)
  app:get("/job", function() return gate.reply(200, tostring(seen:get "job")) end)
  app:get("/calls", function()
    local refused = {}
    local function call(name, f, ...)
      local ok, e = gate.try(f, ...)
      refused[#refused + 1] = name .. " " .. (ok ~= nil and "done" or e.name)
    end
    for _, s in ipairs { disk, mem } do
      call("create", s.create, s, "a")
      call("append", s.append, s, "a", 0)
      call("put", s.put, s, "a", "x")
      call("put_if", s.put_if, s, "a", "x", "")
      call("copy", s.copy, s, "old", "b")
      call("move", s.move, s, "old", "b")
      call("concat", s.concat, s, { "old" }, "b")
      call("remove", s.remove, s, "old")
      call("remove_prefix", s.remove_prefix, s, "old/")
      call("expire", s.expire, s, "old", 9e9)
      call("touch", s.touch, s, "old")
      call("stat", s.stat, s, "old")
      call("list", s.list, s, "")
      call("open", s.open, s, "old")
      call("read", s.read, s, "old", 10)
    end
    call("space", art.put, art, { name = "x" }, "x")
    return gate.reply(200, refused)
  end)
  app:get("/prepare", function()
    disk:put("old", "old") mem:put("old", "old")
    return gate.reply(200)
  end)
  app:get("/slow", function() gate.sleep("300ms") return gate.reply(200, "slow") end)
  app:get("/later", function()
    gate.after("500ms", function()
      local _, e = gate.try(disk.put, disk, "later", "x")
      seen:set("later", e and e.name or "wrote")
    end)
    gate.after(0, function()
      gate.sleep("30ms")
      disk:put("heir", "x")
      seen:set("heir", "wrote")
    end)
    return gate.reply(200)
  end)
  app:get("/seen/{key}", function(q) return gate.reply(200, tostring(seen:get(q.params.key))) end)
  gate.serve { app }
]]

local function must(g, command)
  local ok, out = g:command(command)
  assert(ok, out)
  return out
end

local function becomes(g, path, wanted)
  local body
  local deadline = socket.gettime() + 20
  repeat
    body = g:request("GET", path).body
    if body == wanted then return end
    socket.sleep(0.005)
  until socket.gettime() > deadline
  error(("%s is %s"):format(path, body), 2)
end

describe("a read-only gateway", function()
  local g

  before_each(function() g = gateway.start { script = SCRIPT } end)
  after_each(function() g:stop() end)

  it("refuses every change, and answers every other question", function()
    g:request("GET", "/prepare")
    assert.equal("false false", g:request("GET", "/modes").body)
    -- the writer may be one of them at this very moment, and is waited for
    local waited = must(g, "readonly on --wait"):gsub("^1 from before may still write\n", "")
    assert.equal("read-only, 0 from before may still write\n", waited)
    assert.equal("true false", g:request("GET", "/modes").body)
    local reply = g:request("PUT", "/o/x", { body = "x" })
    assert.equal(405, reply.status)
    assert.equal("GET, HEAD", reply.header "allow")
    assert.truthy(reply.body:find('"code":"READONLY"', 1, true), reply.body)
    assert.equal("old", g:request("GET", "/o/old").body)
    local calls = pusher.decode(g:request("GET", "/calls").body)
    assert.equal(31, #calls)
    for i, call in ipairs(calls) do
      local reads = i <= 30 and (i - 1) % 15 >= 10
      assert.truthy(call:find(reads and " done$" or " READONLY$"), call)
    end
    becomes(g, "/job", "READONLY")
    assert.equal("not read-only\n", must(g, "readonly off"))
    assert.equal(201, g:request("PUT", "/o/x", { body = "x" }).status)
    becomes(g, "/job", "wrote")
  end)

  it("lets those end that began before, and says how many they are", function()
    local c = g:raw()
    c:send("PUT /o/early HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nea")
    repeat until #g:tell("tasks").tasks == 1
    g:request("GET", "/later")
    must(g, "readonly on")
    local s = g:tell("status")
    assert(s.readonly.writers >= 1 and s.readonly.since:find "^%d+%-%d+%-%d+T")
    assert.truthy(must(g, "status"):find "\nread%-only +since %S+Z, %d+ from before may still")
    c:send("ly")
    local reply = c:read_reply("PUT")
    assert.same({ 201, "false" }, { reply.status, reply.body })
    c:close()
    becomes(g, "/seen/heir", "wrote")      -- a task of a request from before
    becomes(g, "/seen/later", "READONLY")  -- a timer that came too late
    must(g, "readonly on --wait")
    assert.equal(0, g:tell("status").readonly.writers)
  end)

  it("stays so over a reload, and on both workers", function()
    must(g, "readonly on")
    must(g, "readonly on") -- twice is no fault
    must(g, "reload")
    for _ = 1, 20 do assert.equal(405, g:request("PUT", "/o/x", { body = "x" }).status) end
    must(g, "readonly off")
    for _ = 1, 20 do assert.equal(201, g:request("PUT", "/o/x", { body = "x" }).status) end
    assert.is_nil(g:tell("status").readonly)
    assert(g:logged "the gateway is read%-only" and g:logged "the gateway is no longer read%-only")
  end)

  it("knows its command's arguments", function()
    for _, words in ipairs { "readonly", "readonly maybe", "readonly on now",
      "drain --delay", "drain --delay x", "drain now" } do
      local program = os.getenv("TIDEGATE_BIN") or "build/tidegate"
      local _, out = tool.run(program .. " " .. words .. "; echo code $?")
      assert.truthy(out:find("usage: tidegate " .. words:match("%a+"), 1, true), out)
      assert.truthy(out:find("code 2\n", 1, true), out)
    end
  end)
end)

describe("a read-only registry", function()
  it("serves pulls, and answers pushes and deletes with UNSUPPORTED", function()
    local g = pusher.registry("")
    local digest = pusher.image(g, "a", "v1")
    local location = pusher.session(g, "a")
    local before = g:files()
    must(g, "readonly on")
    for _, case in ipairs {
      { "POST", "/v2/a/blobs/uploads/" }, { "PATCH", location, "x" },
      { "PUT", location .. "?digest=" .. tool.digest "x", "x" }, { "DELETE", location },
      { "POST", "/v2/a/blobs/uploads/?digest=" .. tool.digest "x", "x" },
      { "PUT", "/v2/a/manifests/v2", '{"manifests":[]}' },
      { "DELETE", "/v2/a/manifests/v1" }, { "DELETE", "/v2/a/manifests/" .. digest },
    } do
      local reply = g:request(case[1], case[2], { body = case[3] })
      assert.equal(405, reply.status, case[1] .. " " .. case[2])
      assert.equal("UNSUPPORTED", (pusher.code(reply)))
      assert.equal("GET, HEAD", reply.header "allow")
    end
    assert.same(before, g:files())
    assert.equal(200, g:request("GET", "/v2/a/manifests/v1").status)
    assert.equal(200, g:request("GET", "/v2/a/tags/list").status)
    must(g, "readonly off")
    assert.equal(202, g:request("PATCH", location, { body = "x" }).status)
    g:stop()
  end)
end)

describe("drain", function()
  it("says that it is not ready, goes on for a while, and ends with 0", function()
    local g = gateway.start { script = SCRIPT }
    local out = must(g, "drain --delay 1")
    assert.truthy(out:find "^draining: %d+ connections, %d+ requests\n", out)
    assert.equal("false true", g:request("GET", "/modes").body)
    assert.truthy(must(g, "status"):find ", draining\n")
    assert.truthy(g:tell("status").draining)
    must(g, "drain --delay 3600") -- what was asked first holds
    local c = g:raw()
    c:send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
    assert.equal("slow", c:read_reply("GET").body)
    c:close()
    assert(g:wait(), "it did not end")
    assert(g:logged "drain: not ready from now on, the listeners close in 1.0 s")
    g:stop()
  end)

  it("waits for what runs, with its progress", function()
    local g = gateway.start { script = SCRIPT }
    local c = g:raw()
    c:send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
    repeat until #g:tell("tasks").tasks == 1
    local out = must(g, "drain --delay 0 --wait")
    assert.truthy(out:find "^draining: %d connections?, %d requests?\n.*drained\n$", out)
    local reply = c:read_reply("GET")
    assert.same({ "slow", "close" }, { reply.body, reply.header "connection" })
    c:close()
    assert(g:wait(), "it did not end")
    g:stop()
  end)

  it("ends with 0 however many signals come, up to the last moment", function()
    for _ = 1, 10 do
      local g = gateway.start { script = SCRIPT }
      repeat signal.kill(g.pid, signal.SIGTERM) until g:ended()
      g:stop()
    end
  end)
end)
