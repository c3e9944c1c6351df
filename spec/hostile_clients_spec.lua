-- SPDX-License-Identifier: Apache-2.0
--
-- Clients that mean harm: who is slow on purpose, who does not read, who sends more than anybody
-- needs, and who wants a second request to be read out of a first one. What the registry makes of
-- bad input is in registry_hostile_spec.lua.
local gateway = require "spec.gateway"
local socket = require "socket"
local wire = require "spec.wire"

local MIB = 2 ^ 20

local SCRIPT = [[
  local gate = require "tidegate"
  gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 1,
    limits = { head = "700ms", stall = "700ms", buffers = "16m" } }
  local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA", durability = "async" }
  local mem = gate.store.mem { name = "hostile" }
  local seen = gate.shared "seen"
  local app = gate.app {}
  app:get("/", function() return gate.reply(200, "ok") end)
  app:get("/smuggled", function() seen:incr "smuggled" return gate.reply(200, "smuggled") end)
  app:get("/count", function() return gate.reply(200, tostring(seen:get "smuggled")) end)
  app:put("/up", function(q)
    return gate.reply(201, q.body and q.body:into(nil).sha256 or "empty")
  end)
  app:post("/up", function(q) return gate.reply(201, q.body and q.body:text "1m" or "empty") end)
  app:put("/{store}/{key}", function(q)
    q.body:into((q.params.store == "disk" and disk or mem):create(q.params.key))
    return gate.reply(201)
  end)
  app:get("/disk/{key}", function(q) return gate.reply(200, disk:open(q.params.key)) end)
  app:get("/mem/{key}", function(q) return gate.reply(200, mem:open(q.params.key)) end)
  app:get("/told", function()
    return gate.reply(200, function(write)
      for _ = 1, 640 do write(("x"):rep(100 * 1024)) end
    end)
  end)
  gate.serve { app }
]]

local function head(lines, method, path)
  return ("%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n"):format(method or "POST", path or "/up", lines)
end

local function quickly(g, n)
  local c = g:raw()
  local began = socket.gettime()
  for _ = 1, n do assert.equal(200, c:request("GET", "/").status) end
  c:close()
  return socket.gettime() - began
end

local function resident(g) return g:tell("status").memory.resident end

-- Waits until the worker has no connection but those.
local function left(g, n)
  local now
  local deadline = socket.gettime() + 20
  repeat
    now = g:tell("status").workers[1].connections
    if now == n then return end
  until socket.gettime() > deadline
  error(now .. " connections are left", 2)
end

describe("clients that are slow on purpose", function()
  local g

  setup(function()
    g = gateway.start { script = SCRIPT }
    assert.equal(201, g:request("PUT", "/disk/large", { body = ("x"):rep(64 * MIB) }).status)
    assert.equal(201, g:request("PUT", "/mem/large", { body = ("x"):rep(32 * MIB) }).status)
  end)
  teardown(function() g:stop() end)

  it("have their time for a head, however they spend it", function()
    local crowd = {}
    for i = 1, 100 do
      crowd[i] = g:raw()
      crowd[i]:send("GET / HTTP/1.1\r\nHost: h\r\n")
    end
    local ends = socket.gettime() + 1.2
    repeat
      for i = 1, 100 do crowd[i]:send("A: b\r\n") end
      assert(quickly(g, 20) < 5)
      socket.sleep(0.1)
    until socket.gettime() > ends
    left(g, 0)
    for i = 1, 100 do crowd[i]:close() end
  end)

  it("hold no buffers with bodies that trickle, and nobody up", function()
    local crowd = {}
    for i = 1, 100 do
      crowd[i] = g:raw()
      crowd[i]:send(i % 2 == 0 and head("Content-Length: 1000000\r\n", "PUT")
        or head("Transfer-Encoding: chunked\r\n", "PUT"))
    end
    for _ = 1, 4 do
      for i = 1, 100 do crowd[i]:send(i % 2 == 0 and "x" or "1\r\nx\r\n") end
      assert(quickly(g, 20) < 5)
      socket.sleep(0.15)
    end
    local status = g:tell "status"
    assert.equal(100, status.workers[1].requests)
    assert(status.memory.buffers <= 9 * MIB, status.memory.buffers)
    local body = ("y"):rep(4 * MIB)
    assert.equal(201, g:request("PUT", "/up", { body = body }).status)
    left(g, 0) -- they stall
    for i = 1, 100 do
      assert.equal(408, crowd[i]:read_reply("PUT").status)
      crowd[i]:close()
    end
  end)

  for _, path in ipairs { "/disk/large", "/mem/large", "/told" } do
    it("are cut when they do not read, and cost no memory: " .. path, function()
      local before = resident(g)
      local crowd = {}
      for i = 1, 30 do
        crowd[i] = g:raw()
        crowd[i]:send(head("", "GET", path))
      end
      local worst = 0
      local deadline = socket.gettime() + 20
      repeat
        assert(quickly(g, 5) < 5)
        local status = g:tell "status"
        worst = math.max(worst, status.memory.resident)
        local n = status.workers[1].connections
      until n == 0 or socket.gettime() > deadline
      left(g, 0)
      assert(worst - before < 24 * MIB, ("%.1f MiB"):format((worst - before) / MIB))
      assert(g:logged("reply cut short[^\n]*STALLED") or g:logged("STALLED"))
      for i = 1, 30 do crowd[i]:close() end
    end)
  end

  it("are not answered without end when they do not read what they ask for", function()
    g:request("PUT", "/mem/piece", { body = ("x"):rep(60000) })
    local before = resident(g)
    local c = g:raw()
    c:send(head("", "GET", "/mem/piece"):rep(2000)) -- 120 MB to come
    left(g, 0)
    assert(resident(g) - before < 8 * MIB)
    c:close()
  end)
end)

describe("clients that send too much", function()
  local g

  setup(function() g = gateway.start { script = SCRIPT } end)
  teardown(function() g:stop() end)

  local LONG = ("a"):rep(MIB)
  local lines = {}
  for i = 1, 10000 do lines[i] = ("X-%d: %d\r\n"):format(i, i) end

  -- what, what is sent, the status; the connection ends behind each
  for _, case in ipairs {
    { "10 000 header fields", head(table.concat(lines)), 431 },
    { "a field of a mebibyte", head("A: " .. LONG .. "\r\n"), 431 },
    { "a field's name of a mebibyte", head(LONG .. ": a\r\n"), 431 },
    { "a target of a mebibyte", "GET /" .. LONG .. " HTTP/1.1\r\nHost: h\r\n\r\n", 414 },
    { "a method of a mebibyte", LONG .. " / HTTP/1.1\r\nHost: h\r\n\r\n", "[45]%d%d" },
    { "a chunk extension of a mebibyte",
      head "Transfer-Encoding: chunked\r\n" .. "1;a=" .. LONG .. "\r\nx\r\n0\r\n\r\n", 400 },
    { "a chunk size of a mebibyte of zeros",
      head "Transfer-Encoding: chunked\r\n" .. ("0"):rep(MIB) .. "1\r\nx\r\n0\r\n\r\n", 400 },
    { "trailers of a mebibyte",
      head "Transfer-Encoding: chunked\r\n" .. "1\r\nx\r\n0\r\nT: " .. LONG .. "\r\n\r\n", 431 },
    { "10 000 trailers",
      head "Transfer-Encoding: chunked\r\n" .. "1\r\nx\r\n0\r\n" .. table.concat(lines) .. "\r\n",
      431 },
  } do
    it("are refused: " .. case[1], function()
      local c = g:raw()
      c:send(case[2])
      local reply = c:read_reply("POST")
      assert.truthy(tostring(reply.status):find("^" .. case[3] .. "$"), reply.status)
      assert.is_true(c:ended())
      c:close()
      left(g, 0)
    end)
  end

  it("of chunks with extensions get what they sent, at no great cost", function()
    local chunk = "1;" .. ("e"):rep(200) .. "\r\nx\r\n"
    local c = g:raw()
    c:send(head "Transfer-Encoding: chunked\r\n" .. chunk:rep(2000) .. "0\r\n\r\n")
    local reply = c:read_reply("POST")
    assert(reply.status == 201 and reply.body == ("x"):rep(2000) or reply.status == 400)
    c:close()
  end)

  it("of ranges, of tags and of queries are answered all the same", function()
    g:request("PUT", "/disk/x", { body = ("0123456789"):rep(10) })
    local ranges, tags = {}, {}
    for i = 1, 1500 do
      ranges[i], tags[i] = "0-" .. i, ('"%d"'):format(i)
    end
    for _, headers in ipairs {
      { Range = "bytes=" .. table.concat(ranges, ",") },
      { Range = "bytes=0-99999999999999999999999999" }, { Range = "bytes=-0" },
      { Range = "bytes=" .. ("9"):rep(5000) .. "-" }, { Range = ("bytes=0-0,"):rep(1000) },
      { ["If-None-Match"] = table.concat(tags, ", ") },
      { ["If-None-Match"] = ('"'):rep(9000) }, { ["If-Modified-Since"] = ("x"):rep(9000) },
    } do
      local reply = g:request("GET", "/disk/x", { headers = headers })
      assert(reply.status == 200 or reply.status == 206 or reply.status == 416, reply.status)
    end
    local reply = g:request("GET", "/?" .. ("a=b&"):rep(1900))
    assert.equal(200, reply.status)
  end)

  it("in one go are answered in order, and others have their turn", function()
    local c = g:raw()
    c:send(head("", "GET", "/"):rep(2000))
    assert(quickly(g, 20) < 5)
    for _ = 1, 2000 do assert.equal("ok", c:read_reply("GET").body) end
    c:close()
  end)
end)

describe("Expect", function()
  local g

  setup(function() g = gateway.start { script = SCRIPT } end)
  teardown(function() g:stop() end)

  -- what, the lines, the body that is sent at once, the status, whether 100 Continue comes
  for _, case in ipairs {
    { "without a body is nothing", "Expect: 100-continue\r\n", "", 201, false },
    { "with an empty body is nothing", "Expect: 100-continue\r\nContent-Length: 0\r\n", "", 201,
      false },
    { "of a client that does not wait gets its answer",
      "Expect: 100-continue\r\nContent-Length: 1\r\n", "x", 201 },
    { "twice is refused or means once",
      "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", "x", "[24]%d%d" },
    { "of two things is refused", "Expect: 100-continue, cake\r\nContent-Length: 1\r\n", "x", 417 },
    { "of a body that never comes has its time", "Expect: 100-continue\r\nContent-Length: 9\r\n",
      "", 408, true },
  } do
    it(case[1], function()
      local c = g:raw()
      c:send(head(case[2]) .. case[3])
      local reply = c:read_reply("POST")
      assert.truthy(tostring(reply.status):find("^" .. case[4] .. "$"), reply.status)
      if case[5] ~= nil then assert.equal(case[5], reply.continued) end
      c:close()
    end)
  end
end)

describe("a request in a request", function()
  local g

  setup(function() g = gateway.start { script = SCRIPT } end)
  teardown(function() g:stop() end)

  local INNER = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
  local CHUNKED = "Transfer-Encoding: chunked\r\n"
  local LENGTH = ("Content-Length: %d\r\n"):format(#INNER)

  -- Each is to be one request, or none: what stands inside must never be read as a second one.
  for _, case in ipairs {
    { "both lengths, the chunks end first",
      head(LENGTH .. CHUNKED) .. "0\r\n\r\n" .. INNER },
    { "both lengths, the other way round",
      head(CHUNKED .. "Content-Length: 4\r\n") .. "2a\r\n" .. INNER .. "\r\n0\r\n\r\n" },
    { "a coding with a blank before the colon",
      head(LENGTH .. "Transfer-Encoding : chunked\r\n") .. INNER },
    { "a coding on a folded line", head(LENGTH .. "X: y\r\n " .. CHUNKED) .. INNER },
    { "a coding behind a bare LF", head(LENGTH .. "X: y\n" .. CHUNKED) .. INNER },
    { "a coding behind a bare CR", head(LENGTH .. "X: y\r" .. CHUNKED) .. INNER },
    { "a coding with a tail", head(LENGTH .. "Transfer-Encoding: chunked, identity\r\n") .. INNER },
    { "a coding that is not quite chunked", head "Transfer-Encoding: xchunked\r\n" .. INNER },
    { "a coding in quotes", head 'Transfer-Encoding: "chunked"\r\n' .. INNER },
    { "a coding with a vertical tab", head "Transfer-Encoding: \11chunked\r\n" .. INNER },
    { "an empty coding", head(LENGTH .. "Transfer-Encoding:\r\n") .. INNER },
    { "two codings", head(CHUNKED .. "Transfer-Encoding: x\r\n") .. INNER },
    { "two lengths", head("Content-Length: 0\r\n" .. LENGTH) .. INNER },
    { "two equal lengths", head(LENGTH .. LENGTH) .. INNER },
    { "a length with a plus", head "Content-Length: +0\r\n" .. INNER },
    { "a length with a blank in it", head "Content-Length: 4 0\r\n" .. INNER },
    { "an empty length", head "Content-Length:\r\n" .. INNER },
    { "a length that runs over", head "Content-Length: 18446744073709551616\r\n" .. INNER },
    { "chunked by HTTP/1.0", "POST /up HTTP/1.0\r\nHost: h\r\n" .. CHUNKED .. LENGTH .. "\r\n"
      .. INNER },
    { "a chunk size with 0x", head(CHUNKED) .. "0x0\r\n\r\n" .. INNER },
    { "a chunk size with a blank", head(CHUNKED) .. "0 1\r\nx\r\n" .. INNER },
    { "a chunk size with a minus", head(CHUNKED) .. "-0\r\n\r\n" .. INNER },
    { "a chunk size that runs over", head(CHUNKED) .. "10000000000000000\r\n\r\n" .. INNER },
    { "a chunk without an end", head(CHUNKED) .. "1\r\nxx0\r\n\r\n" .. INNER },
    { "a chunk line that ends with LF", head(CHUNKED) .. "1;\n" .. INNER },
    { "an extension with a bare CR", head(CHUNKED) .. "1;a\rb\r\nx\r\n0\r\n\r\n" .. INNER },
    { "a trailer that is none", head(CHUNKED) .. "0\r\n" .. INNER },
    { "a request line of another age", "GET /up\r\n" .. INNER },
  } do
    it("is not read: " .. case[1], function()
      local c = g:raw()
      c:send(case[2])
      local reply = assert(c:read_reply("POST"))
      assert(reply.status >= 400, reply.status)
      assert.is_true(c:ended(), "nothing behind it is believed")
      c:close()
      assert.equal("nil", g:request("GET", "/count").body)
    end)
  end

  -- Here the framing is clear, and the inner one is a body.
  for _, case in ipairs {
    { "the body of a length", head(LENGTH) .. INNER },
    { "the body in chunks", head(CHUNKED)
      .. ("%x\r\n%s\r\n0\r\n\r\n"):format(#INNER, INNER) },
    { "the body in chunks, with trailers that look like framing", head(CHUNKED)
      .. ("%x\r\n%s\r\n0\r\nContent-Length: 0\r\nHost: x\r\n\r\n"):format(#INNER, INNER) },
  } do
    it("is content: " .. case[1], function()
      local c = g:raw()
      c:send(case[2] .. head("", "GET", "/"))
      local reply = c:read_reply("POST")
      assert.same({ 201, INNER }, { reply.status, reply.body })
      assert.equal("ok", c:read_reply("GET").body)
      c:close()
      assert.equal("nil", g:request("GET", "/count").body)
    end)
  end

  it("is not what is left of a body that nobody reads", function()
    local c = wire.connect(g.host, tonumber(g.port))
    c:send(head(LENGTH, "GET", "/") .. INNER .. head("", "GET", "/"))
    assert.equal("ok", c:read_reply("GET").body)
    local second = c:read_reply("GET")
    assert(second == nil or second.body == "ok")
    c:close()
    assert.equal("nil", g:request("GET", "/count").body)
  end)
end)
