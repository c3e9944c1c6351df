-- SPDX-License-Identifier: Apache-2.0
--
-- Proxies in front: what they say of a client, by the PROXY protocol and in the head of requests,
-- and who is believed.
local certs = require "spec.certs"
local gateway = require "spec.gateway"
local socket = require "socket"
local tool = require "spec.tool"

local V2 = "\r\n\r\n\0\r\nQUIT\n\33\17\0\12\192\0\2\9\192\0\2\2\18\103\1\187" -- from 192.0.2.9
local LOCAL = "\r\n\r\n\0\r\nQUIT\n\32\0\0\0"
local V1 = "PROXY TCP4 192.0.2.8 192.0.2.2 4711 443\r\n"
local GET = "GET /who HTTP/1.1\r\nHost: g\r\n\r\n"

local function script(listener)
  return ([[
    local gate = require "tidegate"
    gate.config {
      listen = { { address = gate.env("TIDEGATE_LISTEN"), %s } },
      workers = 1, limits = { head = "500ms" },
    }
    local app = gate.app {}
    app:get("/who", function(q)
      return gate.reply(200, q.address .. " " .. q.scheme .. " " .. q.peer:match("^[^:]+"))
    end)
    gate.serve { app }
  ]]):format(listener)
end

describe("a proxy in front", function()
  local function with(listener, f)
    local g = gateway.start { script = script(listener) }
    local ok, why = pcall(f, g)
    g:stop()
    assert(ok, why)
  end

  local function who(g, headers)
    return g:request("GET", "/who", { headers = headers }).body
  end

  -- What answers to bytes sent as they are; nil if nothing does.
  local function say(g, text, tls)
    local c = g:raw()
    c:send(text)
    if tls then c = c:secure(tls) end
    if tls and c then c:send(GET) end
    local reply = c and c:read_reply("GET")
    if c then c:close() end
    return reply and reply.body, reply and reply.status
  end

  it("that is trusted tells who the client is", function()
    with('trust = { "127.0.0.0/8", "10.0.0.0/8" }', function(g)
      for header, expected in pairs {
        ["192.0.2.7"] = "192.0.2.7", ["6.6.6.6, 192.0.2.7"] = "192.0.2.7",
        ["192.0.2.7, 10.1.2.3"] = "192.0.2.7", ["[2001:db8::1]:99"] = "2001:db8::1",
        ["nobody"] = "127.0.0.1", ["6.6.6.6, nobody"] = "127.0.0.1",
      } do
        assert.equal(expected .. " http 127.0.0.1", who(g, { ["X-Forwarded-For"] = header }))
      end
      assert.equal("192.0.2.7 https 127.0.0.1", who(g, { ["X-Forwarded-For"] = "192.0.2.7",
        ["X-Forwarded-Proto"] = "https", Forwarded = "for=6.6.6.6;proto=http" }))
      assert.equal("127.0.0.1 http 127.0.0.1", who(g, {}))
      assert(g:logged " address=192%.0%.2%.7 ", g:log())
    end)
  end)

  it("may say so by Forwarded, if the listener says so", function()
    with('trust = { "127.0.0.1" }, forwarded = "forwarded"', function(g)
      assert.equal("192.0.2.7 https 127.0.0.1", who(g, { ["X-Forwarded-For"] = "6.6.6.6",
        Forwarded = 'for=6.6.6.5, for="192.0.2.7:80";proto=https' }))
    end)
    with('trust = { "127.0.0.1" }, forwarded = "none"', function(g)
      assert.equal("127.0.0.1 http 127.0.0.1", who(g, { ["X-Forwarded-For"] = "6.6.6.6",
        ["X-Forwarded-Proto"] = "https", Forwarded = "for=6.6.6.5;proto=https" }))
    end)
  end)

  it("that is not trusted is a client like any other", function()
    for _, listener in ipairs { "", 'trust = { "10.0.0.0/8", "unix" }',
      'trust = { "10.0.0.0/8" }, proxy = true' } do
      with(listener, function(g)
        assert.equal("127.0.0.1 http 127.0.0.1", who(g, { ["X-Forwarded-For"] = "192.0.2.7",
          ["X-Forwarded-Proto"] = "https", Forwarded = "for=192.0.2.7;proto=https" }))
        for _, header in ipairs { V1, V2, LOCAL } do
          local _, status = say(g, header .. GET)
          assert.equal(400, status)
        end
      end)
    end
  end)

  it("tells it by the PROXY protocol, before all else", function()
    with('trust = { "127.0.0.1" }, proxy = true', function(g)
      assert.equal("192.0.2.8 http 127.0.0.1", say(g, V1 .. GET))
      assert.equal("192.0.2.9 http 127.0.0.1", say(g, V2 .. GET))
      assert.equal("127.0.0.1 http 127.0.0.1", say(g, LOCAL .. GET))
      assert.equal("127.0.0.1 http 127.0.0.1", say(g, "PROXY UNKNOWN\r\n" .. GET))
      for _, header in ipairs { V1, V2 } do -- a byte at a time
        local c = g:raw()
        for i = 1, #header do
          c:send(header:sub(i, i))
          if i % 8 == 0 then socket.sleep(0.002) end
        end
        c:send(GET)
        assert.truthy(c:read_reply("GET").body:find("^192.0.2.[89] "))
        -- it holds for every request of the connection; what the client says itself does not
        local reply = c:request("GET", "/who", { headers = { ["X-Forwarded-For"] = "6.6.6.6" } })
        assert.truthy(reply.body:find("^192.0.2.[89] "), reply.body)
        c:close()
      end
      for _, bad in ipairs { GET, "PROXY TCP4 x\r\n" .. GET, "PROXY " .. ("x"):rep(200),
        V2:sub(1, 14) .. "\255\255" .. ("x"):rep(5000), V2:gsub("\33", "\49", 1) } do
        assert.is_nil((say(g, bad)))
      end
      assert(g:logged 'PROXY header refused".- why="?malformed')
      assert(g:logged 'PROXY header refused".- why="too long"')
      local began = socket.gettime()
      local slow = { g:raw(), g:raw() }
      slow[1]:send(V2:sub(1, 20))
      for _, c in ipairs(slow) do
        assert.is_true(c:ended())
        c:close()
      end
      assert(socket.gettime() - began < 10)
    end)
  end)

  it("goes before TLS, too", function()
    local folder = tool.tmpdir()
    local ca = certs.authority(folder, "ca")
    local own = ca:sign("own", "IP:127.0.0.1")
    with(('trust = { "127.0.0.1" }, proxy = true, tls = { cert = %q, key = %q }'):format(own.cert,
      own.key), function(g)
      local tls = { ca = ca.cert }
      for _, header in ipairs { V1, V2 } do
        assert.truthy(say(g, header, tls):find("^192.0.2.[89] https 127.0.0.1"))
      end
      assert.is_nil((say(g, "", tls)))
      local _, status = say(g, V1 .. GET)
      assert.equal(400, status)
      local c = g:raw()
      c:send(V1) -- and the handshake in a piece of its own
      socket.sleep(0.05)
      assert(c:secure(tls)):close()
    end)
    tool.remove(folder)
  end)

  it("may stand on the same machine, at a unix socket", function()
    local folder = tool.tmpdir()
    local path = folder .. "/s"
    local text = script('trust = { "unix" }'):gsub("{ { address", ("{ %q, { address")
      :format("127.0.0.1:0"))
    local g = gateway.start { script = text, env = { TIDEGATE_LISTEN = "unix:" .. path } }
    local out = tool.must(("curl -sS --unix-socket %s -H 'X-Forwarded-For: 192.0.2.7' http://g/who")
      :format(path))
    assert.equal("192.0.2.7 http unix", out)
    assert.equal("127.0.0.1 http 127.0.0.1", who(g, { ["X-Forwarded-For"] = "192.0.2.7" }))
    g:stop()
    tool.remove(folder)
  end)

  it("is named right, or the script is refused", function()
    local folder = tool.tmpdir()
    local path = folder .. "/x.lua"
    for listener, message in pairs {
      ["trust = { '10.0.0.1/8' }"] = '"10.0.0.1/8" is none',
      ["trust = { 5 }"] = "a number is none",
      ["trust = { 'example.org' }"] = "'trust' must be a list of addresses and ranges",
      ["proxy = true"] = "'proxy' needs 'trust'",
      ["proxy = true, trust = {}"] = "'proxy' needs 'trust'",
      ["forwarded = 'x'"] = "'forwarded' must be \"x-forwarded-for\" or \"forwarded\" or \"none\"",
    } do
      tool.write(path, script(listener))
      local ok, out = tool.run(("TIDEGATE_LISTEN=:7 %s check %s"):format(
        os.getenv("TIDEGATE_BIN") or "build/tidegate", path))
      assert.is_false(ok)
      assert.truthy(out:find("x.lua:2: gate.config: listen[1]: ", 1, true), out)
      assert.truthy(out:find(message, 1, true), out)
    end
    tool.remove(folder)
  end)
end)
