-- SPDX-License-Identifier: Apache-2.0
--
-- What clients may take: connections, requests, bytes, bodies; of a listener, of an address, of
-- a user. Nobody loses anything by a bound: it is told, or it waits.
local gateway = require "spec.gateway"
local json = require "dkjson"
local prometheus = require "spec.prometheus"
local pusher = require "spec.pusher"
local socket = require "socket"
local tool = require "spec.tool"
local wire = require "spec.wire"

local MIB = 2 ^ 20

local SCRIPT = [[
  local gate = require "tidegate"
  gate.config { workers = 2, limits = { %s },
    listen = { { address = gate.env "TIDEGATE_LISTEN", limits = { %s } } } }
  local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA", durability = "async" }
  local mem = gate.store.mem { name = "limits" }
  local app = gate.app {}
  app:get("/", function() return gate.reply(200, "ok") end)
  app:put("/up", function(q) return gate.reply(201, q.body:into(nil).sha256) end)
  app:put("/o/{key}", function(q)
    q.body:into(disk:create(q.params.key))
    return gate.reply(201)
  end)
  app:get("/o/{key}", function(q) return gate.reply(200, disk:open(q.params.key)) end)
  app:put("/m/{key}", function(q)
    q.body:into(mem:create(q.params.key))
    return gate.reply(201)
  end)
  app:get("/m/{key}", function(q) return gate.reply(200, mem:open(q.params.key)) end)
  app:get("/told", function()
    return gate.reply(200, function(write)
      for _ = 1, 16 do write(("x"):rep(16 * 1024)) end
    end)
  end)
  %s
  gate.serve { app, gate.metrics "/metrics" }
]]

local function start(limits, own, more)
  return gateway.start { script = SCRIPT:format(limits or "", own or "", more or "") }
end

local function code(reply)
  return json.decode(reply.body).errors[1].code
end

-- Asks so often; how many were answered with each status, and the last that was refused.
local function ask(g, n, path, options)
  local count, refused = {}, nil
  local c = g:raw()
  for _ = 1, n do
    local reply = c:request("GET", path or "/", options)
    count[reply.status] = (count[reply.status] or 0) + 1
    if reply.status ~= 200 then refused = reply end
  end
  c:close()
  return count, refused
end

describe("the requests of an address", function()
  it("are bounded, with the time to wait, and the connection stays", function()
    local g = start('per_address = { requests = "1/s", burst = 5 }')
    local count, refused = ask(g, 20)
    assert.equal(5, count[200])
    assert.equal(15, count[429])
    assert.equal("1", refused.header "retry-after")
    assert.equal("TOOMANYREQUESTS", code(refused))
    assert.truthy(refused.body:find "more requests than one address may make, try again in 1 s")
    local _, lines = g:log():gsub("request refused", "")
    assert(lines >= 1 and lines <= 3, "a flood of refusals is no flood of the log")
    socket.sleep(1.05) -- as it said
    assert.equal(200, g:request("GET", "/").status)
    g:stop()
  end)

  it("say honestly how long to wait", function()
    local g = start('per_address = { requests = "6/m", burst = 1 }')
    local _, refused = ask(g, 2)
    assert.equal("10", refused.header "retry-after")
    g:stop()
  end)

  it("are counted by all workers together, over connections and a reload", function()
    local g = start('per_address = { requests = "1/h", burst = 10 }')
    local good = 0
    for i = 1, 30 do
      if i == 15 then assert(g:command "reload") end
      if g:request("GET", "/").status == 200 then good = good + 1 end
    end
    assert.equal(10, good)
    g:stop()
  end)

  it("refuse a body that comes with them, too", function()
    local g = start('per_address = { requests = "1/h", burst = 1 }')
    ask(g, 1)
    for _, size in ipairs { 10, 300000 } do
      local reply = g:request("PUT", "/up", { body = ("x"):rep(size) })
      assert.equal(429, reply.status)
    end
    local c = g:raw()
    c:send("PUT /up HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    local reply = c:read_reply("PUT")
    assert.same({ 429, false }, { reply.status, reply.continued })
    c:close()
    g:stop()
  end)

  it("are the client's that a trusted proxy names, and IPv6 counts by its network", function()
    local text = SCRIPT:format('per_address = { requests = "1/h", burst = 2 }', "", "")
    text = text:gsub('gate.env "TIDEGATE_LISTEN",', '%0 trust = { "127.0.0.1" },')
    local g = gateway.start { script = text }
    for _, case in ipairs {
      { "203.0.113.1", 2 }, { "203.0.113.2", 2 }, { "2001:db8:1:2::3", 2 },
      { "2001:db8:1:2:ffff::4", 0 }, { "2001:db8:1:3::3", 2 }, { "203.0.113.1", 0 },
    } do
      local count = ask(g, 3, "/", { headers = { ["X-Forwarded-For"] = case[1] } })
      assert.equal(case[2], count[200] or 0, case[1])
    end
    g:stop()
  end)

  it("do not bound those of a socket file, whose clients have none", function()
    local folder = tool.tmpdir()
    local g = gateway.start { script = SCRIPT:format(
      'per_address = { requests = "1/h", connections = 1 }', "", ""):gsub("listen = {",
      ('listen = { "unix:%s/s",'):format(folder)) }
    for _ = 1, 5 do
      local out = tool.must(("curl -sS --unix-socket %s/s http://h/"):format(folder))
      assert.equal("ok", out)
    end
    g:stop()
    tool.remove(folder)
  end)
end)

describe("the requests of a listener", function()
  it("are bounded for all clients together", function()
    local g = start("", 'requests = "1/h", burst = 4')
    local count, refused = ask(g, 10)
    assert.same({ [200] = 4, [429] = 6 }, count)
    assert.truthy(refused.body:find "than all clients together may make")
    assert.equal("3600", refused.header "retry-after")
    g:stop()
  end)
end)

describe("connections", function()
  for _, case in ipairs {
    { "of an address", "per_address = { connections = 3 }", "", "per_address%.connections" },
    { "of a listener", "", "connections = 3", "connections of the listener" },
    { "of the process", "connections = 3", "", "limit=connections" },
  } do
    it(case[1] .. " are bounded, with a short answer", function()
      local g = start(case[2], case[3])
      local held = {}
      for i = 1, 3 do
        held[i] = g:raw()
        assert.equal(200, held[i]:request("GET", "/").status)
      end
      for _ = 1, 5 do
        local c = g:raw()
        local reply = c:read_reply("GET")
        assert.equal(503, reply.status)
        assert.equal("5", reply.header "retry-after")
        assert.equal("too many connections, please try again soon\n", reply.body)
        assert.is_true(c:ended())
        c:close()
      end
      assert(g:logged("connections turned away[^\n]*" .. case[4]))
      local metrics = held[2]:request("GET", "/metrics").body
      assert.truthy(metrics:find("\ntidegate_connections_refused_total 5\n", 1, true), metrics)
      held[1]:close()
      local status
      local deadline = socket.gettime() + 20
      repeat
        local c = g:raw()
        c:send "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        status = c:read_reply("GET").status
        c:close()
      until status == 200 or socket.gettime() > deadline
      assert.equal(200, status)
      for i = 2, 3 do held[i]:close() end
      g:stop()
    end)
  end

  it("are counted exactly under a crowd that comes and goes", function()
    local g = start("per_address = { connections = 8 }")
    for _ = 1, 20 do
      local crowd, good = {}, 0
      for i = 1, 16 do crowd[i] = wire.connect(g.host, tonumber(g.port)) end
      for i = 1, 16 do
        crowd[i]:send "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        local ok, reply = pcall(crowd[i].read_reply, crowd[i], "GET")
        if ok and reply and reply.status == 200 then good = good + 1 end
      end
      assert(good <= 8, good)
      for i = 1, 16 do crowd[i]:close() end
    end
    local deadline = socket.gettime() + 20
    repeat
      local n = 0
      for _, w in ipairs(g:tell("status").workers) do n = n + w.connections end
    until n == 0 or socket.gettime() > deadline
    local held = {}
    for i = 1, 8 do
      held[i] = g:raw()
      assert.equal(200, held[i]:request("GET", "/").status) -- none was lost
    end
    for i = 1, 8 do held[i]:close() end
    g:stop()
  end)
end)

describe("a body", function()
  it("has a bound, told or not", function()
    local g = start('body = "64k"')
    assert.equal(201, g:request("PUT", "/up", { body = ("x"):rep(65536) }).status)
    local reply = g:request("PUT", "/up", { body = ("x"):rep(65537) })
    assert.same({ 413, "SIZE_INVALID" }, { reply.status, code(reply) })
    assert.truthy(reply.body:find "at most 65536 bytes here")
    local c = g:raw()
    c:send("PUT /up HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n")
    reply = c:read_reply("PUT")
    assert.same({ 413, false }, { reply.status, reply.continued })
    c:close()
    reply = g:request("PUT", "/up", { chunked = { ("x"):rep(40000), ("x"):rep(25536) } })
    assert.equal(201, reply.status)
    reply = g:request("PUT", "/up", { chunked = { ("x"):rep(40000), ("x"):rep(25537) } })
    assert.equal(413, reply.status)
    local before = g:files()
    reply = g:request("PUT", "/o/x", { chunked = { ("x"):rep(40000), ("x"):rep(40000) } })
    assert.equal(413, reply.status)
    assert.same(before, g:files())
    g:stop()
  end)

  it("has the bound of its listener, if that has one", function()
    local g = start('body = "1k"', 'body = "2k"')
    assert.equal(201, g:request("PUT", "/up", { body = ("x"):rep(2048) }).status)
    assert.equal(413, g:request("PUT", "/up", { body = ("x"):rep(2049) }).status)
    g:stop()
  end)
end)

describe("what is refused before a script hears of it", function()
  it("is in the access log, and among the metrics", function()
    local g = gateway.start { script = [[
      local gate = require "tidegate"
      gate.config { workers = 2, log = { access = "access.log" }, listen = {
        { address = gate.env "TIDEGATE_LISTEN",
          limits = { body = "1k", requests = "1/h", burst = 2 } }, "127.0.0.1:0" } }
      gate.serve { gate.health "/ok", gate.metrics "/metrics" }
    ]] }
    assert.equal(200, g:request("GET", "/ok").status)
    assert.equal(413, g:request("PUT", "/big?secret", { body = ("x"):rep(2000) }).status)
    assert.equal(429, g:request("GET", "/many?secret").status)
    local path, lines, deadline = g.data .. "/.tidegate/access.log", {}, socket.gettime() + 20
    while #lines < 3 and socket.gettime() < deadline do
      lines = {}
      for line in (tool.read(path) or ""):gmatch "([^\n]*)\n" do
        lines[#lines + 1] = json.decode(line)
      end
      socket.sleep(0.005)
    end
    for i, expected in ipairs {
      { "GET", "/ok", 200 }, { "PUT", "/big", 413, "SIZE_INVALID" },
      { "GET", "/many", 429, "TOOMANYREQUESTS" },
    } do
      local r = lines[i]
      assert.same(expected, { r.method, r.path, r.status, r.code })
      assert.truthy(r.out > 0 and r.ms >= r.first_ms and r.id:find "^%x+$")
      assert.equal("127.0.0.1", r.address)
    end
    local host, port = g:log():match "listening on.-listening on %D*([%d.]+):(%d+)"
    local other = wire.connect(host, tonumber(port))
    local families = prometheus.parse(other:request("GET", "/metrics").body)
    local requests = families.tidegate_requests_total.samples
    assert.equal(2, requests['tidegate_requests_total{app="none",action="none",status="4xx"}'])
    assert.equal(1, requests['tidegate_requests_total{app="/ok",action="get",status="2xx"}'])
    local timed = families.tidegate_request_seconds.samples
    assert.equal(2, timed['tidegate_request_seconds_count{app="none"}'])
    other:close()
    g:stop()
  end)
end)

describe("bytes a second", function()
  local SIZE = MIB
  local TEXT = ("0123456789abcdef"):rep(SIZE / 16)
  local UP, DOWN = 2 * MIB, MIB

  -- How long f takes to move so many bytes: at least as long as the rate allows, whose first second
  -- is its burst, and at most what a crowded machine needs.
  local function takes(bytes, rate, f)
    local least, began = bytes / rate - 1, socket.gettime()
    f()
    local s = socket.gettime() - began
    assert(s > 0.8 * least and s < least + 15, ("%.2f s, at least %.2f"):format(s, least))
  end

  for _, case in ipairs {
    { "of an address", "per_address = { up = %d, down = %d }", "" },
    { "of a listener", "", "up = %d, down = %d" },
  } do
    it(case[1] .. " are bounded by waiting, either way, and nothing fails", function()
      local g = start('stall = "200ms", ' .. case[2]:format(UP, DOWN), case[3]:format(UP, DOWN))
      local sum = tool.digest(TEXT):sub(8)
      takes(4 * SIZE, UP, function()
        assert.equal(sum, g:request("PUT", "/up", { body = TEXT }).body)
        assert.equal(sum, g:request("PUT", "/up", { chunked = { TEXT } }).body)
        g:request("PUT", "/o/x", { body = TEXT })
        g:request("PUT", "/m/x", { body = TEXT })
      end)
      takes(2.25 * SIZE, DOWN, function()
        assert.is_true(g:request("GET", "/o/x").body == TEXT)
        assert.is_true(g:request("GET", "/m/x").body == TEXT)
        assert.equal(SIZE / 4, #g:request("GET", "/told").body)
      end)
      g:stop()
    end)
  end

  it("are shared by the connections of an address", function()
    local g = start(("per_address = { down = %d }"):format(UP))
    g:request("PUT", "/o/x", { body = TEXT })
    takes(4 * SIZE, UP, function()
      local crowd = {}
      for i = 1, 4 do
        crowd[i] = g:raw()
        crowd[i]:send("GET /o/x HTTP/1.1\r\nHost: h\r\n\r\n")
      end
      for i = 1, 4 do
        assert.is_true(crowd[i]:read_reply("GET").body == TEXT)
        crowd[i]:close()
      end
    end)
    g:stop()
  end)

  it("let a client leave that waits", function()
    local g = start('per_address = { up = "1k", down = "1k" }')
    local calm = g:descriptors()
    local c = g:raw()
    c:send("PUT /up HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n" .. ("x"):rep(100000))
    repeat until #g:tell("tasks").tasks == 1
    c:close()
    assert.is_true(g:keeps(calm))
    g:stop()
  end)
end)

describe("gate.limit", function()
  local MORE = [[
    local calls = gate.limit("calls", { requests = "1/h", burst = 3, up = "256k", down = "256k" })
    local jobs = gate.limit("jobs", { places = 2, ttl = "1s" })
    app:get("/take", function(q)
      calls:take(q.query.key or q, tonumber(q.query.n))
      return gate.reply(200, "taken")
    end)
    app:get("/pace/{key}", function(q)
      calls:pace(q, q.query.user)
      return gate.reply(200, disk:open(q.params.key))
    end)
    app:get("/hold", function(q) jobs:hold(q.query.key, q.query.what) return gate.reply(200) end)
    app:get("/release", function(q)
      jobs:release(q.query.key, q.query.what)
      return gate.reply(200)
    end)
  ]]
  local g

  before_each(function() g = start("", "", MORE) end)
  after_each(function() g:stop() end)

  it("takes what a key may take, on every worker", function()
    for _, key in ipairs { "ann", "bob", ("long"):rep(100), "" } do
      local count, refused = ask(g, 5, "/take?key=" .. key)
      assert.same({ [200] = 3, [429] = 2 }, count)
      assert.equal("TOO_MANY", code(refused))
      assert.equal("3600", refused.header "retry-after")
    end
    assert.same({ [200] = 1, [429] = 1 }, (ask(g, 2, "/take?key=eve&n=2")))
    assert.same({ [200] = 3, [429] = 1 }, (ask(g, 4, "/take"))) -- by the address
  end)

  it("paces the bytes of a request", function()
    local text = ("y"):rep(0.75 * MIB)
    g:request("PUT", "/o/x", { body = text })
    local began = socket.gettime()
    assert.is_true(g:request("GET", "/pace/x?user=ann").body == text)
    assert(socket.gettime() - began > 1.5)
    began = socket.gettime()
    assert.is_true(g:request("GET", "/o/x").body == text) -- nobody else's
    assert(socket.gettime() - began < 1.5)
  end)

  it("holds so many places, each until it is released or forgotten", function()
    local function hold(key, what)
      return g:request("GET", ("/hold?key=%s&what=%s"):format(key, what)).status
    end
    assert.equal(200, hold("ann", "a"))
    assert.equal(200, hold("ann", "b"))
    assert.equal(429, hold("ann", "c"))
    assert.equal(200, hold("ann", "a")) -- it has that one
    assert.equal(200, hold("bob", "c"))
    g:request("GET", "/release?key=ann&what=a")
    assert.equal(200, hold("ann", "c"))
    assert.equal(429, hold("ann", "d"))
    socket.sleep(1.1)
    assert.equal(200, hold("ann", "d"))
  end)
end)

describe("the limits of a registry", function()
  local AUTH = [[
    auth = { challenge = "Basic", identify = function(q)
      return { name = q.headers["x-user"] or "" }
    end },
  ]]

  it("bound the open uploads of a user", function()
    local g = pusher.registry(AUTH .. "limits = { uploads = 2 }")
    local function begin(user)
      return g:request("POST", "/v2/a/blobs/uploads/", { headers = { ["X-User"] = user } })
    end
    local first = begin("ann")
    assert.equal(202, first.status)
    assert.equal(202, begin("ann").status)
    local before = g:files()
    local reply = begin("ann")
    assert.equal(429, reply.status)
    assert.equal("TOOMANYREQUESTS", (pusher.code(reply)))
    assert.equal("5", reply.header "retry-after")
    assert.same(before, g:files())
    assert.equal(202, begin("bob").status)
    assert.equal(202, begin(nil).status)
    local location = first.header "location"
    local options = { headers = { ["X-User"] = "ann" }, body = "x" }
    assert.equal(202, g:request("PATCH", location, options).status)
    options.body = nil
    assert.equal(201, g:request("PUT", location .. "?digest=" .. tool.digest "x", options).status)
    local again = begin("ann")
    assert.equal(202, again.status)
    assert.equal(429, begin("ann").status)
    assert.equal(204, g:request("DELETE", again.header "location", options).status)
    assert.equal(202, begin("ann").status)
    g:stop()
  end)

  it("bound the requests of a user, and of nobody by the address", function()
    local g = pusher.registry(AUTH .. 'limits = { requests = "1/h", burst = 3 }')
    for _, user in ipairs { "ann", "bob", "127.0.0.1", false } do
      local options = { headers = { ["X-User"] = user or nil } }
      local count, refused = ask(g, 5, "/v2/", options)
      assert.same({ [200] = 3, [429] = 2 }, count)
      assert.equal("TOOMANYREQUESTS", (pusher.code(refused)))
    end
    g:stop()
  end)
end)

describe("limits that make no sense", function()
  for text, message in pairs {
    ['gate.config { limits = { per_address = { requests = "x" } } }'] =
      [['limits.per_address.requests' must be a rate such as "20/s" or "600/m"]],
    ['gate.config { limits = { per_address = { requests = 0 } } }'] = "must be a rate",
    ['gate.config { limits = { per_address = { burst = 5 } } }'] = "'burst' goes with 'requests'",
    ['gate.config { limits = { per_address = { conections = 5 } } }'] =
      "unknown option 'limits.per_address.conections', did you mean 'connections'?",
    ['gate.config { limits = { connections = 0 } }'] = "'limits.connections' must be from 1 to",
    ['gate.config { limits = { per_address = { up = "1b" } } }'] = "must be from 1024",
    ['gate.config { listen = { { address = ":1", limits = { bodi = 1 } } } }'] =
      "did you mean 'body'?",
    ['gate.limit("a b", {})'] = "gate.limit: a name has up to 64 letters",
    ['gate.limit("a", { burst = 2 })'] = "'burst' goes with 'requests'",
    ['gate.limit("a", { places = 0 })'] = "'places' must be from 1 to",
  } do
    it("are refused: " .. text, function()
      gateway.refuses(text, message)
    end)
  end
end)
