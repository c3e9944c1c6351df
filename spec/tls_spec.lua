-- SPDX-License-Identifier: Apache-2.0
--
-- Listeners that speak TLS: certificates by name, clients' certificates, what scripts see, what
-- clients do wrong, and certificates exchanged under way.
local certs = require "spec.certs"
local gateway = require "spec.gateway"
local signal = require "posix.signal"
local socket = require "socket"
local tool = require "spec.tool"

local PROGRAM = os.getenv("TIDEGATE_BIN") or "build/tidegate"
local BIG = tool.bytes(3 * 1024 * 1024 + 17, 11)
local HOUR = "GET /tls HTTP/1.1\r\nHost: g\r\n\r\n"

-- A script whose only listener is TLS with these options.
local function script(tls, more)
  return ([[
    local gate = require "tidegate"
    gate.config {
      listen = { { address = gate.env("TIDEGATE_LISTEN"), tls = { %s } } },
      workers = 2, limits = { head = "1s", stall = "10s" }, log = { level = "debug" }, %s
    }
    local mem = gate.store.mem { name = "tls" }
    local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA"), durability = "async" }
    local app = gate.app {}
    app:get("/tls", function(q) return gate.reply(200, q.tls or { none = true }) end)
    app:put("/o/{k}", function(q)
      return gate.reply(201, q.body:into(disk:create(q.params.k)).sha256)
    end)
    app:get("/o/{k}", function(q) return gate.reply(200, disk:open(q.params.k)) end)
    app:get("/told", function()
      return gate.reply(200, function(write) for _ = 1, 100 do write(("x"):rep(1000)) end end)
    end)
    app:get("/cut", function()
      return gate.reply(200, function(write) write "some" error "no more" end)
    end)
    app:get("/slow/{s}", function(q) gate.sleep(q.params.s) return gate.reply(200, "slept") end)
    gate.serve { app }
  ]]):format(tls, more or "")
end

describe("a listener with TLS", function()
  local folder, ca, first, second, joe

  setup(function()
    folder = tool.tmpdir()
    ca = certs.authority(folder, "ca")
    first = ca:sign("first", "DNS:first.example,IP:127.0.0.1")
    second = ca:sign("second", "DNS:second.example,DNS:*.second.example", { rsa = true })
    joe = ca:sign("joe", "DNS:joe.example,email:joe@example.org,URI:spiffe://example/joe")
  end)

  teardown(function() tool.remove(folder) end)

  local function pair(c)
    return ("cert = %q, key = %q"):format(c.cert, c.key)
  end

  local function check(tls)
    local path = folder .. "/check.lua"
    tool.write(path, script(tls))
    return tool.run(("TIDEGATE_LISTEN=:7 TIDEGATE_DATA=%s %s check %s")
      :format(folder, PROGRAM, path))
  end

  describe("and its clients", function()
    local g

    setup(function()
      g = gateway.start { script = script(("certs = { { %s }, { %s } }, client = %q"):format(
        pair(first), pair(second), ca.cert)) }
    end)

    teardown(function() g:stop() end)

    local function ask(tls, path)
      tls.ca = tls.ca or ca.cert
      local reply = g:request("GET", path or "/tls", { tls = tls })
      assert.equal(200, reply.status)
      return reply.body
    end

    it("moves bodies of every size, either way, in both versions", function()
      for _, version in ipairs { "tlsv1_2", "tlsv1_3" } do
        local c = assert(g:raw { ca = ca.cert, version = version })
        for _, n in ipairs { 10, 100, 16384, 16385, 65536, 70000, #BIG } do
          local text = BIG:sub(1, n)
          local reply = c:request("PUT", "/o/x", { body = text })
          assert.equal(201, reply.status, n .. reply.body)
          assert.truthy(reply.body:find(tool.sha256(text), 1, true))
          reply = c:request("GET", "/o/x")
          assert.is_true(reply.body == text, ("%d bytes differ"):format(n))
          reply = c:request("PUT", "/o/x", { chunked = { text:sub(1, 7), text:sub(8) } })
          assert.truthy(reply.body:find(tool.sha256(text), 1, true))
        end
        assert.equal(("x"):rep(100000), c:request("GET", "/told").body)
        c:close()
      end
    end)

    it("tells the script what was agreed on", function()
      local t = ask { name = "first.example" }
      assert.equal('{"cipher":"TLS_AES_256_GCM_SHA384","name":"first.example",'
        .. '"version":"TLSv1.3"}', t)
      t = ask { version = "tlsv1_2" }
      assert.equal('{"cipher":"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384","version":"TLSv1.2"}', t)
    end)

    local function subject_for(name)
      local c = assert(g:raw { name = name, ca = ca.cert })
      local cn = c.socket:getpeercertificate():subject()
      c:close()
      for _, part in ipairs(cn) do
        if part.name == "commonName" then return part.value end
      end
    end

    it("shows the certificate for the name, or the first", function()
      for name, expected in pairs {
        ["first.example"] = "first", ["second.example"] = "second", ["SECOND.example"] = "second",
        ["a.second.example"] = "second", ["a.b.second.example"] = "first",
        [".second.example"] = "first", ["unknown.example"] = "first",
      } do
        assert.equal(expected, subject_for(name), name)
      end
      assert.equal("first", subject_for(nil))
    end)

    it("verifies a client that shows a certificate, and names it to the script", function()
      local t = ask { cert = joe.cert, key = joe.key }
      local print = tool.must(("openssl x509 -in %s -noout -fingerprint -sha256"):format(joe.cert))
      print = print:match("=(%S+)"):gsub(":", ""):lower()
      assert.equal(('{"cipher":"TLS_AES_256_GCM_SHA384","client":{"fingerprint":"%s","names":['
        .. '"DNS:joe.example","email:joe@example.org","URI:spiffe://example/joe"],'
        .. '"subject":"CN=joe,O=Spec"},"version":"TLSv1.3"}'):format(print), t)
      local other = certs.authority(folder, "other"):sign("eve", "DNS:joe.example")
      local c = g:raw { cert = other.cert, key = other.key }
      if c then -- with TLS 1.3 a client hears of it when it reads
        c:send(HOUR)
        assert.is_nil((c.socket:receive(1)))
        c:close()
      end
      assert(g:logged 'TLS handshake failed".-why="unable to get local issuer certificate"')
    end)

    it("resumes sessions, and still knows the client", function()
      local session = folder .. "/session"
      local s_client = ("printf 'GET /tls HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet "
        .. "-connect %s -CAfile %s -cert %s -key %s -ign_eof"):format(g.address, ca.cert, joe.cert,
        joe.key)
      for _, version in ipairs { "-tls1_2", "-tls1_3" } do
        local out = tool.must(("%s %s -sess_out %s"):format(s_client, version, session))
        assert.truthy(out:find("CN=joe", 1, true), out)
        out = tool.must(((s_client:gsub(" %-quiet", "")) .. " %s -sess_in %s"):format(version,
          session))
        assert.truthy(out:find("\nReused, ", 1, true), out)
        assert.truthy(out:find("CN=joe", 1, true), out)
      end
    end)

    it("speaks HTTP/1.1 or nothing, and no old version", function()
      local s_client = ("openssl s_client -connect %s -CAfile %s </dev/null ")
        :format(g.address, ca.cert)
      local _, out = tool.run(s_client .. "-alpn h2,http/1.1")
      assert.truthy(out:find("ALPN protocol: http/1.1", 1, true), out)
      _, out = tool.run(s_client .. "-alpn h2")
      assert.truthy(out:find("no application protocol", 1, true), out)
      _, out = tool.run(s_client .. "-tls1_1 -cipher DEFAULT@SECLEVEL=0")
      assert.truthy(out:match "alert protocol version" or out:match "no protocols", out)
      _, out = tool.run(s_client .. "-tls1_2 -cipher AES128-SHA@SECLEVEL=0")
      assert.truthy(out:find("handshake failure", 1, true), out)
    end)

    it("answers plain text with a hint, and ends", function()
      for _, text in ipairs { HOUR, "DELETE / HTTP/1.1\r\nHost: g\r\n\r\n", "\r\n" } do
        local c = g:raw()
        c:send(text)
        local reply = assert(c:read_reply("GET"))
        assert.equal(400, reply.status)
        assert.truthy(reply.body:find("https://", 1, true), reply.body)
        assert.is_true(c:ended())
        c:close()
      end
    end)

    it("does not wait for a handshake that never ends", function()
      local hello = "\22\3\1\2\0\1\0\1\252\3\3" -- the beginning of a ClientHello of 512 bytes
      local slow = {}
      for i, text in ipairs { "", hello, hello:sub(1, 3), hello .. ("x"):rep(400) } do
        slow[i] = g:raw()
        slow[i]:send(text)
      end
      local began = socket.gettime()
      assert.equal(200, g:request("GET", "/tls", { tls = {} }).status)
      assert(socket.gettime() - began < 0.9, "others wait")
      for _, c in ipairs(slow) do
        local _, why = c.socket:receive("*a")
        assert.not_equal("timeout", why)
        c:close()
      end
      assert(socket.gettime() - began < 10)
    end)

    it("is not harmed by rubbish", function()
      for _, text in ipairs { "\22\3\1\0\5hello", "\22\3\1\255\255" .. ("x"):rep(70000),
        "\22\3\3\0\1\0\21\3\3\0\2\2\40" } do
        local c = g:raw()
        c:send(text)
        c.socket:receive("*a")
        c:close()
      end
      assert(g:logged "TLS handshake failed")
      ask {}
    end)

    it("ends a connection whose client negotiates anew", function()
      local _, out = tool.run(("(printf 'GET /slow/10ms HTTP/1.1\\r\\nHost: g\\r\\n\\r\\n'; "
        .. "sleep 0.6; echo R; sleep 0.6) | timeout 10 openssl s_client -tls1_2 -connect %s")
        :format(g.address))
      assert.truthy(out:find("RENEGOTIATING", 1, true), out)
      assert.truthy(out:find("slept", 1, true), out)
      assert.truthy(out:find("no renegotiation", 1, true) or out:find("unexpected eof", 1, true)
        or out:find("errno", 1, true) or out:find("reset", 1, true), out)
      ask {}
    end)

    it("takes new keys from a client, while bodies move", function()
      local out = tool.must(("(printf 'GET /slow/1s HTTP/1.1\\r\\nHost: g\\r\\n\\r\\n'; "
        .. "sleep 0.6; echo K; sleep 0.6; "
        .. "printf 'GET /slow/1ms HTTP/1.0\\r\\n\\r\\n'; sleep 1) "
        .. "| timeout 10 openssl s_client -tls1_3 -connect %s 2>&1"):format(g.address))
      assert.truthy(out:find("KEYUPDATE", 1, true), out)
      assert.truthy(out:find("slept.*slept"), out)
    end)

    it("says goodbye behind a whole body, and not behind half of one", function()
      local s_client = ("printf 'GET /%%s HTTP/1.0\\r\\n\\r\\n' | timeout 10 openssl s_client "
        .. "-quiet -ign_eof -connect %s"):format(g.address)
      local ok, out = tool.run(s_client:format("told"))
      assert.is_true(ok, out)
      assert.truthy(out:find(("x"):rep(100000), 1, true))
      ok, out = tool.run(s_client:format("cut"))
      assert.is_false(ok, out)
    end)

    it("never takes half a body for a whole one", function()
      for _, head in ipairs { "Content-Length: 100000", "Transfer-Encoding: chunked" } do
        local c = g:raw {}
        c:send(("PUT /o/half HTTP/1.1\r\nHost: g\r\n%s\r\n\r\n"):format(head))
        c:send("a\r\n0123456789\r\n")
        c.socket:close() -- with close_notify; a plain end is tried next
      end
      for _, head in ipairs { "Content-Length: 100000", "Transfer-Encoding: chunked" } do
        tool.run(("printf 'PUT /o/half HTTP/1.1\\r\\nHost: g\\r\\n%s\\r\\n\\r\\na\\r\\n0123' "
          .. "| (openssl s_client -quiet -connect %s & p=$!; sleep 0.3; kill -9 $p)"):format(head,
          g.address))
      end
      assert.is_true(g:settles(function(files)
        for _, name in ipairs(files) do
          if name:find("half", 1, true) or name:find("tmp/.+/%d") then return false end
        end
        return true
      end))
    end)

    it("does not serve a client that reads nothing for long, nor forget the others", function()
      g:request("PUT", "/o/big", { body = BIG, tls = {} })
      local c = g:raw {}
      for _ = 1, 20 do c:send("GET /o/big HTTP/1.1\r\nHost: g\r\n\r\n") end
      assert.is_true(g:request("GET", "/o/big", { tls = {} }).body == BIG)
      -- it reads after all: everything is there
      for _ = 1, 20 do assert.is_true(c:read_reply("GET").body == BIG) end
      c:close()
    end)
  end)

  it("refuses who shows no certificate, if one is required", function()
    local g = gateway.start { script = script(("%s, client = %q, require = true")
      :format(pair(first), ca.cert)) }
    local c = g:raw {}
    if c then
      c:send(HOUR)
      assert.is_nil((c.socket:receive(1)))
      c:close()
    end
    assert(g:logged "peer did not return a certificate")
    local reply = g:request("GET", "/tls", { tls = { cert = joe.cert, key = joe.key } })
    assert.truthy(reply.body:find("CN=joe", 1, true))
    g:stop()
  end)

  it("is described by check, which names a file that is no good", function()
    local ok, out = check(("cert = %q, key = %q, client = %q"):format("first.pem", "first.key",
      "ca.pem")) -- relative to the script
    assert(ok, out)
    assert.truthy(out:match("listen  :7\ntls     /.-/first%.pem: DNS:first%.example, "
      .. "IP Address:127%.0%.0%.1 until %d+%-%d+%-%d+\n"), out)
    tool.write(folder .. "/empty.pem", "")
    tool.write(folder .. "/large.pem", (" "):rep(2 ^ 20 + 1))
    tool.must(("openssl ec -aes128 -passout pass:x -in %s -out %s/locked.key 2>&1")
      :format(first.key, folder))
    tool.must(("cat %s %s > %s/both.pem"):format(first.cert, first.key, folder))
    assert(check('cert = "both.pem"'))
    for tls, message in pairs {
      ['cert = "none.pem"'] = "listen :7: .-/none.pem: No such file or directory",
      ['cert = "."'] = "listen :7: .-/%.: not a file",
      ['cert = "empty.pem"'] = "listen :7: .-/empty.pem: holds no certificate in PEM form",
      ['cert = "large.pem"'] = "listen :7: .-/large.pem: larger than 1 MiB",
      ['cert = "first.pem"'] = "listen :7: .-/first.pem: holds no private key in PEM form",
      ['cert = "first.pem", key = "joe.key"'] =
        "listen :7: .-/joe.key: the key does not belong to the certificate in .-/first.pem",
      ['cert = "first.pem", key = "second.key"'] =
        "listen :7: .-/second.key: the key does not belong to the certificate in .-/first.pem",
      ['cert = "first.pem", key = "locked.key"'] = "locked.key: the key is encrypted",
      ['cert = "both.pem", client = "none.pem"'] = "listen :7: .-/none.pem: No such file",
      ['cert = "both.pem", client = "first.key"'] = "first.key: holds no certificate in PEM form",
      [""] = "check.lua:2: gate.config: listen%[1%].tls: either 'cert' %(and 'key'%) or 'certs'",
      ['cert = "a", certs = { }'] = "either 'cert' %(and 'key'%) or 'certs'",
      ['certs = { }'] = "'certs' must be a list of tables",
      ['certs = { {} }'] = "check.lua:2: gate.config: listen%[1%].tls.certs%[1%]: 'cert' is needed",
      ['cert = "a", require = true'] = "listen%[1%].tls: 'require' needs 'client'",
      ['cert = "a", kee = "b"'] = "unknown option 'kee', did you mean 'key'",
    } do
      ok, out = check(tls)
      assert.is_false(ok, tls)
      assert.truthy(out:match("^tidegate: .-" .. message .. ".*\n$"), out)
    end
  end)

  it("gets new certificates without a transfer failing, and keeps good ones", function()
    local live = { cert = folder .. "/live.pem", key = folder .. "/live.key" }
    local function install(c)
      tool.must(("cp %s %s && cp %s %s"):format(c.cert, live.cert, c.key, live.key))
    end
    install(first)
    local data = tool.tmpdir()
    local g = gateway.start { script = script(pair(live)), data = data }
    local function shown()
      local c = assert(g:raw { ca = ca.cert })
      local serial = c.socket:getpeercertificate():serial()
      c:close()
      return serial
    end
    local before, slow = shown(), {}
    local head = ("PUT /o/%%d HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n"):format(100000)
    for i = 1, 50 do
      slow[i] = assert(g:raw { version = i % 2 == 0 and "tlsv1_2" or nil })
      slow[i]:send(head:format(i) .. BIG:sub(1, 50000))
    end
    install(second)
    assert(g:command("reload"))
    local after = shown()
    assert.not_equal(before, after)
    tool.must(("cp %s %s"):format(joe.key, live.key))
    local ok, out = g:command("reload")
    assert.is_false(ok)
    assert.truthy(out:find("live.key: the key does not belong to the certificate", 1, true), out)
    assert.equal(after, shown())
    for i = 1, 50 do
      slow[i]:send(BIG:sub(50001, 100000))
      local reply = assert(slow[i]:read_reply("PUT"))
      assert.truthy(reply.body:find(tool.sha256(BIG:sub(1, 100000)), 1, true), reply.body)
      slow[i]:close()
    end
    g:signal(signal.SIGHUP)
    assert(g:logged "level=error.-live.key: the key does not belong")
    g:stop()
    tool.remove(data)
  end)
end)
