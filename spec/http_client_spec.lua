-- SPDX-License-Identifier: Apache-2.0
--
-- gate.http: one gateway asks another, and a server that is up to no good.
local gateway = require "spec.gateway"
local socket = require "socket"
local tool = require "spec.tool"

local UPSTREAM = [[
  local gate = require "tidegate"
  gate.config { listen = gate.env("TIDEGATE_LISTEN"), workers = 1 }
  local mem = gate.store.mem { name = "up" }
  local slow = gate.store.mem { name = "slow", delay = "20s" }
  local app = gate.app {}
  app:get("/say/{x}", function(q)
    local headers = { ["X-Two"] = { "1", "2" }, ["Content-Type"] = "text/plain" }
    return gate.reply(200, q.params.x, headers)
  end)
  app:get("/query", function(q) return gate.reply(200, q.query.a .. "/" .. q.query.b) end)
  app:get("/auth", function(q) return gate.reply(200, q.headers.authorization or "none") end)
  app:get("/slow", function() return gate.reply(200, slow:read("x", 1) or "") end)
  app:get("/to/{n}", function(q)
    local n = tonumber(q.params.n)
    return gate.reply(302, nil, { Location = n > 1 and "/to/" .. n - 1 or "/say/there" })
  end)
  app:get("/away", function(q)
    return gate.reply(302, nil, { Location = "http://localhost:" .. q.query.port .. "/auth" })
  end)
  app:put("/put/{x}", function(q)
    local got = q.body:into(mem:create(q.params.x))
    return gate.reply(201, { size = got.size, sha256 = got.sha256 })
  end)
  app:get("/get/{x}", function(q) return gate.reply(200, mem:open(q.params.x)) end)
  gate.serve { app }
]]

-- The handler of /x is the text; `up` is the upstream's address.
local function asker(up, handler)
  return gateway.start {
    env = { UP = up },
    script = ([[
      local gate = require "tidegate"
      gate.config { listen = gate.env("TIDEGATE_LISTEN"), workers = 1 }
      local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA") }
      local up = gate.env("UP")
      local app = gate.app {}
      app:get("/x", function(q) %s end)
      app:put("/x", function(q) %s end)
      app:get("/healthz", function() return gate.reply(200, "ok") end)
      gate.serve { app }
    ]]):format(handler, handler),
  }
end

-- A server of one connection that answers whatever comes with `text`, and then holds its peace.
local function liar(text)
  local listener = assert(socket.bind("127.0.0.1", 0))
  listener:settimeout(10)
  local _, port = listener:getsockname()
  return "http://127.0.0.1:" .. port, function()
    local c = assert(listener:accept())
    c:settimeout(10)
    repeat local line = c:receive("*l") until not line or line == ""
    c:send(text)
    return c, listener
  end
end

describe("gate.http", function()
  local up

  setup(function() up = gateway.start { script = UPSTREAM } end)
  teardown(function() up:stop() end)

  -- One request to a gateway with this handler; the reply. `more(g)` runs before it is stopped.
  local function ask(handler, method, options, more)
    local g = asker("http://" .. up.address, handler)
    local reply = g:request(method or "GET", "/x", options)
    if more then more(g) end
    g:stop()
    return reply
  end

  it("gets a status, headers and a body", function()
    local reply = ask [[
      local r = gate.http.get(up .. "/say/hello")
      assert(r.headers["x-two"] == "1, 2" and r.headers["content-type"] == "text/plain")
      return gate.reply(r.status, r.body:text("1k"))]]
    assert.same({ 200, "hello" }, { reply.status, reply.body })
  end)

  it("asks with a query, encoded, behind one that is there", function()
    local reply = ask [[
      local r = gate.http.get(up .. "/query?a=1", { query = { b = "x y&z" } })
      return gate.reply(200, r.body:text("1k"))]]
    assert.equal("1/x y&z", reply.body)
  end)

  it("passes an upstream's 404 on as an answer, not as an error", function()
    local reply = ask [[return gate.reply(gate.http.get(up .. "/none").status, "said")]]
    assert.same({ 404, "said" }, { reply.status, reply.body })
  end)

  it("streams a body through to the client and into a store", function()
    local text = tool.bytes(3 * 1024 * 1024 + 7, 5)
    assert.equal(201, up:request("PUT", "/put/big", { body = text }).status)
    local reply = ask [[
      local got = gate.http.get(up .. "/get/big").body:into(disk:create "kept")
      assert(got.size == 3145735)
      return gate.reply(200, gate.http.get(up .. "/get/big").body)]]
    assert.equal(200, reply.status)
    assert.is_true(reply.body == text, "the bytes are the same")
  end)

  it("streams a request's body out, of known and of unknown length", function()
    local text = tool.bytes(700000, 6)
    for _, options in ipairs { { body = text }, { chunked = { text:sub(1, 9), text:sub(10) } } } do
      local reply = ask([[
        local r = gate.http.request("PUT", up .. "/put/sent", { body = q.body })
        return gate.reply(r.status, r.body:text("1k"))]], "PUT", options)
      assert.equal(201, reply.status)
      assert.is_truthy(reply.body:find(tool.sha256(text), 1, true))
    end
  end)

  it("follows as many redirects as it was told to", function()
    local reply = ask [[
      local a, b = gate.http.get(up .. "/to/3"), gate.http.get(up .. "/to/3", { follow = 2 })
      local c = gate.http.get(up .. "/to/3", { follow = 3 })
      return gate.reply(200, a.status .. " " .. b.status .. " " .. c.body:text("1k"))]]
    assert.equal("302 302 there", reply.body)
  end)

  it("takes no credentials along to another host", function()
    local handler = [[
      local r = gate.http.get(up .. "/away?port=%s",
        { follow = 1, headers = { Authorization = "Bearer secret" } })
      local own = gate.http.get(up .. "/auth", { headers = { Authorization = "Bearer secret" } })
      return gate.reply(200, r.body:text("1k") .. ", " .. own.body:text("1k"))]]
    local reply = ask(handler:format(up.port), nil, nil, function(g)
      assert.is_nil(g:log():find("secret", 1, true))
    end)
    assert.equal("none, Bearer secret", reply.body)
  end)

  it("refuses with 502 what cannot be reached or makes no sense, with 504 what is late", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    listener:close()
    assert.equal(502, ask(([[return gate.reply(200,
      gate.http.get("http://127.0.0.1:%d/").body)]]):format(port)).status)
    assert.equal(504, ask [[return gate.reply(200,
      gate.http.get(up .. "/slow", { timeout = "200ms" }).body)]].status)
    assert.equal(504, ask [[return gate.reply(200,
      gate.http.get(up .. "/slow", { stall = "200ms" }).body)]].status)
  end)

  it("refuses an answer that is none, breaks off, or is larger than allowed", function()
    for text, status in pairs {
      ["nonsense\r\n\r\n"] = 502,
      ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"] = 502,
      ["HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"] = 413,
    } do
      local url, serve = liar(text)
      local g = asker(url, [[return gate.reply(200,
        gate.http.get(up .. "/", { limit = "64k" }).body:text("64k"))]])
      local c = g:raw()
      c:send("GET /x HTTP/1.1\r\nHost: g\r\n\r\n")
      local other, listener = serve()
      if status == 502 then other:close() end
      assert.equal(status, c:read_reply("GET").status, text)
      c:close()
      other:close()
      listener:close()
      g:stop()
    end
  end)

  it("ends the request upstream when the client leaves", function()
    local url, serve = liar("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    local g = asker(url, [[return gate.reply(200, gate.http.get(up .. "/").body:text("1k"))]])
    local c = g:raw()
    c:send("GET /x HTTP/1.1\r\nHost: g\r\n\r\n")
    local other, listener = serve()
    c:close()
    assert.is_nil((other:receive("*l")), "the connection was closed")
    other:close()
    listener:close()
    g:stop()
  end)

  it("refuses other schemes, credentials in a URL, and headers that would lie", function()
    for _, call in ipairs {
      [[gate.http.get("file:///etc/passwd")]],
      [[gate.http.get("http://user:secret@127.0.0.1/")]],
      [[gate.http.get(up .. "/", { headers = { ["X"] = "a\r\nHost: b" } })]],
      [[gate.http.get(up .. "/\r\nX: y")]],
    } do
      local reply = ask(([[
        local ok, e = pcall(function() return %s end)
        return gate.reply(ok and 200 or 299, tostring(e))]]):format(call))
      assert.equal(299, reply.status, call)
    end
  end)

  it("waits, so it is refused while a script loads", function()
    local path = tool.tmpdir() .. "/load.lua"
    tool.write(path, [[require("tidegate").http.get("http://127.0.0.1:1/")]])
    local _, out = tool.run((os.getenv "TIDEGATE_BIN" or "build/tidegate") .. " check " .. path)
    assert.is_truthy(out:find("load.lua:1: ", 1, true), out)
    tool.remove(path:match("^(.*)/"))
  end)

  it("costs a gateway that does not use it nothing", function()
    local maps = tool.read(("/proc/%d/maps"):format(up.pid))
    assert.is_nil(maps:find("libcurl", 1, true))
  end)
end)
