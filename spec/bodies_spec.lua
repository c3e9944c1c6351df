-- SPDX-License-Identifier: Apache-2.0
--
-- Bytes that a script makes or looks at itself: replies that a function writes, and
-- stream:chunks.
local gateway = require "spec.gateway"
local socket = require "socket"
local tool = require "spec.tool"

local SCRIPT = [[
local gate = require "tidegate"
gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 1,
  limits = { script = "8m", slice = "5s" } }
local mem = gate.store.mem { name = "bodies" }
local seen = gate.shared "seen"
local app = gate.app {}

app:use(function(q) q.mine = "mine" end)
app:get("/seen/{key}", function(q)
  return gate.reply(200, tostring(seen:get(q.params.key)))
end)
app:get("/lines", function(q)
  return gate.reply(200, function(write)
    for i = 1, 3 do
      write(i)
      write("")
      gate.sleep("1ms")
      write("\n")
    end
    write(q.mine .. q.headers.host .. #q.id)
  end, { ["Content-Type"] = "text/plain" })
end)
app:get("/nothing", function() return gate.reply(200, function() end) end)
app:get("/none", function()
  return gate.reply(204, function() seen:incr "none" end)
end)
app:get("/head", function()
  return gate.reply(200, function() seen:incr "head" end, { ["X-A"] = "b" })
end)
app:get("/store", function()
  mem:put("o", ("0123456789"):rep(10))
  return gate.reply(200, function(write)
    for piece in mem:open("o"):chunks(30) do write("<" .. piece .. ">") end
  end)
end)
app:get("/large", function(q)
  local piece = ("x"):rep(1000000)
  return gate.reply(200, function(write)
    for i = 1, 64 do
      write(piece)
      seen:set("written", i)
    end
  end)
end)
app:put("/echo", function(q)
  return gate.reply(200, function(write)
    local before = q.body:chunks("1b")()
    write(before)
    write(tostring(pcall(function() return q.body:chunks("1b")() end)))
  end)
end)
app:get("/fail", function() return gate.reply(200, function(write)
  write "half"
  gate.fail(400, "TOO_LATE", "the head is gone")
end) end)
app:get("/mistake", function() return gate.reply(200, function(write) write "" write {} end) end)
app:get("/early", function() return gate.reply(200, function() gate.fail(418, "TEAPOT") end) end)
app:get("/memory", function() return gate.reply(200, function(write)
  write "half"
  local t = {}
  for i = 1, 1e9 do t[i] = { i } end
end) end)
app:get("/header", function() return gate.reply(200, function() end, { ["X-A"] = "a\nb" }) end)
app:get("/wait/{key}", function(q) return gate.reply(200, function(write)
  write "first"
  local ok, e = pcall(gate.sleep, "1h")
  seen:set(q.params.key, e.name)
  pcall(write, "more")
end) end)

app:put("/chunks", function(q)
  local sizes, parts = {}, {}
  for piece in q.body:chunks(q.query.size) do
    sizes[#sizes + 1] = #piece
    parts[#parts + 1] = piece
  end
  return gate.reply(200, { sizes = sizes, sha256 = gate.hash("sha256", table.concat(parts)) })
end)
app:put("/part", function(q)
  local next_piece = q.body:chunks("4b")
  assert(next_piece() == "0123")
  local ok, e = pcall(q.body.text, q.body, 99)
  assert(not ok and e:find "read in part", e)
  assert(next_piece() == "4567" and next_piece() == "89" and next_piece() == nil)
  assert(not pcall(next_piece))
  return gate.reply(200)
end)
app:put("/sizes", function(q)
  assert(not pcall(function() q.body:chunks "x" end))
  for _, size in ipairs { "0", "300k" } do
    assert(not pcall(function() for _ in q.body:chunks(size) do error "no" end end))
  end
  return gate.reply(200)
end)
app:put("/leave", function(q)
  local ok, e = pcall(function() for _ in q.body:chunks "4k" do seen:incr "pieces" end end)
  seen:set("left", e.name)
  error(e, 0)
end)
gate.serve { app }
]]

describe("bytes of the script's own", function()
  local g, settle
  setup(function()
    g = gateway.start { script = SCRIPT }
    settle = function(key, wanted)
      for _ = 1, 2000 do
        local value = g:request("GET", "/seen/" .. key).body
        if value:find("^" .. wanted .. "$") then return end
        socket.sleep(0.002)
      end
      error(("%s is %s"):format(key, g:request("GET", "/seen/" .. key).body), 2)
    end
  end)
  teardown(function() g:stop() end)

  describe("a reply that a function writes", function()
    it("is sent in chunks, and the connection goes on", function()
      local c = g:raw()
      for _ = 1, 2 do
        local reply = c:request("GET", "/lines")
        assert.equal(200, reply.status)
        assert.equal("text/plain", reply.header "content-type")
        assert.equal("chunked", reply.header "transfer-encoding")
        assert.equal("1\n2\n3\nminegateway16", reply.body)
      end
      assert.equal("", c:request("GET", "/nothing").body)
      assert.equal(204, c:request("GET", "/none").status)
      local head = c:request("HEAD", "/head")
      assert.same({ 200, "b", nil }, { head.status, head.header "x-a",
        head.header "transfer-encoding" })
      assert.equal("nil", c:request("GET", "/seen/head").body)
      assert.equal("nil", c:request("GET", "/seen/none").body)
      c:close()
    end)

    it("ends with the connection for a client of HTTP/1.0", function()
      local c = g:raw()
      c:send "GET /lines HTTP/1.0\r\nHost: h\r\n\r\n"
      local text = c.socket:receive "*a"
      assert.truthy(text:find("\r\n\r\n1\n2\n3\nmine", 1, true), text)
      assert.falsy(text:find "chunked")
      c:close()
    end)

    it("may open streams, but not read on in the request's body", function()
      assert.equal("<012345678901234567890123456789>", g:request("GET", "/store").body:sub(1, 32))
      local c = g:raw()
      assert.equal("afalse", c:request("PUT", "/echo", { body = "abc" }).body)
      assert.equal(200, c:request("GET", "/lines").status)
      c:close()
    end)

    it("waits for a client that reads slowly", function()
      local c = g:raw()
      c:send "GET /large HTTP/1.1\r\nHost: h\r\n\r\n"
      socket.sleep(0.1)
      local written = tonumber(g:request("GET", "/seen/written").body) or 0
      assert.is_true(written < 32, "written: " .. written)
      assert.equal(64000000, #c:read_reply("GET").body)
      c:close()
    end)

    for path, logged in pairs {
      ["/fail"] = "reply cut.-TOO_LATE: the head is gone",
      ["/mistake"] = "write: a string is expected, got table",
      ["/memory"] = "not enough memory",
    } do
      it("is cut when the function fails: " .. path, function()
        local c = g:raw()
        c:send("GET " .. path .. " HTTP/1.1\r\nHost: h\r\n\r\n")
        assert.is_false((pcall(c.read_reply, c, "GET")))
        c:close()
        assert.truthy(g:logged(logged))
        assert.equal(200, g:request("GET", "/lines").status)
      end)
    end

    it("is an error until the first write", function()
      assert.equal(500, g:request("GET", "/header").status)
      assert.equal(418, g:request("GET", "/early").status)
    end)

    it("is cancelled when the client leaves, even while it has nothing to say", function()
      local c = g:raw()
      c:send "GET /wait/gone HTTP/1.1\r\nHost: h\r\n\r\n"
      socket.sleep(0.05)
      c:close()
      settle("gone", "CANCELLED")
    end)
  end)

  describe("stream:chunks", function()
    it("gives every byte, in pieces of the size", function()
      for _, case in ipairs {
        { 10, "3b", "[3,3,3,1]" }, { 9, "3b", "[3,3,3]" }, { 5, "64k", "[5]" },
        { 600000, "256k", "[262144,262144,75712]" },
      } do
        local body = tool.bytes(case[1], 7)
        local chunked = { body:sub(1, 4), body:sub(5) }
        for _, options in ipairs { { body = body }, { chunked = chunked } } do
          local reply = g:request("PUT", "/chunks?size=" .. case[2], options)
          assert.equal(200, reply.status, reply.body)
          assert.truthy(reply.body:find('"sha256":"' .. tool.sha256(body), 1, true))
          assert.truthy(reply.body:find('"sizes":' .. case[3], 1, true), reply.body)
        end
      end
    end)

    it("is the only way to go on", function()
      local reply = g:request("PUT", "/part", { body = "0123456789" })
      assert.equal(200, reply.status, g:log())
    end)

    it("has bounds", function()
      assert.equal(200, g:request("PUT", "/sizes", { body = "abc" }).status, g:log())
    end)

    it("ends when the client leaves", function()
      local c = g:raw()
      c:send("PUT /leave HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n" .. ("x"):rep(9000))
      settle("pieces", "2")
      c:close()
      settle("left", "[GC]%u+") -- GONE or CANCELLED, whichever is seen first
    end)
  end)
end)
