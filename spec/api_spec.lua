-- SPDX-License-Identifier: Apache-2.0
--
-- Every call of docs/lua.md, made where scripts make it: in a handler of a running gateway. A
-- probe is the text of a handler that ends without an error; what it raises is the failure.
local gateway = require "spec.gateway"

local SCRIPT = [[
local gate = require "tidegate"
gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 1,
  limits = { script = "32m", slice = "5s" } } -- sanitizers make it slow
local mem = gate.store.mem { name = "api" }
local full = gate.store.mem { name = "full", limit = "1k" }
local slow = gate.store.mem { name = "slow", delay = "1ms", fail = "put:BUSY:1", stale = 1 }
local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA", durability = "async" }
local space = gate.space { store = mem:at "space", key = function(p) return p.a .. "/" .. p.b end }
local lazy = gate.space { store = mem:at "lazy", key = function() return mem:read("x", 1) end }
local shared = gate.shared("api", { size = "64k" })
local kept

local function raises(name, f, ...)
  local value, e = gate.try(f, ...)
  assert(value == nil and e.name == name, "expected " .. name .. ", got " .. tostring(e and e.name))
  return e
end

local app = gate.app { prefix = "/probe" }
local probes = { %s }
app:use(function(q) q.used = true end)
app:put("/{name}", function(q)
  probes[q.params.name](q)
  return gate.reply(200, "ok")
end)

local odd = gate.app { prefix = "/odd", on_error = function() return gate.reply(418) end }
odd:get("/", function() gate.fail(400, "X") end)
local replies = gate.app { prefix = "/reply" }
%s
gate.serve { app, odd, replies, gate.health "/healthz" }
]]

-- name, body of the request, handler(q)
local PROBES = {
  { "requests", "abc", [[
    assert(q.method == "PUT" and q.path:find("^/probe/") and q.used)
    assert(q.query.a == "1" and q.queries.a[2] == "2" and q.length == 3)
    assert(q.headers["x-two"] == "1, 2" and q.type == "text/plain" and #q.id == 16)
    assert(q.user.name == "" and q.peer:find(":") and q.nothing == nil)
    assert(q.address == "127.0.0.1" and q.scheme == "http" and q.tls == nil)
    q.mine = 1
    assert(q.mine == 1)]] },
  { "text", "abc", [[
    assert(q.body:text("3b") == "abc")
    assert(not pcall(q.body.text, q.body, 3))]] },
  { "text-limit", "abcd", [[ raises("TOO_LARGE", q.body.text, q.body, 3) ]] },
  { "into", "abc", [[
    local got = q.body:into(mem:create("into"), { hash = { "sha256", "sha512", "md5", "crc32c" } })
    assert(got.size == 3 and got.sha256 == gate.hash("sha256", "abc"))
    assert(got.md5 == gate.hash("md5", "abc") and got.crc32c == gate.hash("crc32c", "abc"))
    assert(got.sha512 == gate.hash("sha512", "abc") and #got.states.sha256 == 108)
    assert(mem:read("into", 9) == "abc")]] },
  { "open-immutable", "", [[
    disk:put("fixed", "as it was")
    for _ = 1, 3 do
      local o = disk:open("fixed", { immutable = true })
      assert(o.size == 9 and o.etag == disk:stat("fixed").etag and o:text(9) == "as it was")
    end
    assert(disk:open("fixed", { immutable = true, offset = 6, size = 2 }):text(9) == "wa")
    assert(disk:remove "fixed" and disk:open("fixed", { immutable = true }) == nil)]] },
  { "into-nothing", "abc", [[ assert(q.body:into(nil, { hash = {} }).sha256 == nil) ]] },
  { "into-expect", "abc", [[
    local e = raises("MISMATCH", q.body.into, q.body, mem:create "no",
      { expect = "sha256:" .. ("0"):rep(64) })
    assert(e.taken == 3 and mem:stat "no" == nil)]] },
  { "into-verify", "abc", [[
    raises("INVALID", q.body.into, q.body, nil, { verify = "ABC" })
    q.body:into(nil, { verify = gate.hash("sha256", "abc") })]] },
  { "into-limit", "abcd", [[
    raises("TOO_LARGE", q.body.into, q.body, mem:create "no", { limit = 3 })
    assert(mem:stat "no" == nil)]] },
  { "into-full", ("x"):rep(5000), [[
    raises("NO_SPACE", q.body.into, q.body, full:create "no")]] },
  { "into-states", "def", [[
    mem:put("abc", "abc")
    local first = mem:open("abc"):into(nil)
    local got = q.body:into(nil, { states = first.states })
    assert(got.sha256 == gate.hash("sha256", "abcdef") and got.size == 3)]] },
  { "append", "def", [[
    disk:append("log", 0):abort()
    mem:open("abc"):into(disk:append("log", 0))
    local e = raises("RANGE", disk.append, disk, "log", 1)
    assert(e.size == 3 and e.status == 416)
    q.body:into(disk:append("log", 3))
    assert(disk:read("log", 99) == "abcdef")]] },
  { "nameless", "abc", [[
    local sink = mem:create(nil, { type = "a/b", meta = { k = "v" } })
    q.body:into(sink)
    local o = sink:commit("named", { if_absent = true })
    assert(o.size == 3 and mem:stat("named").type == "a/b" and mem:stat("named").meta.k == "v")
    assert(not pcall(sink.commit, sink, "again"))]] },
  { "nameless-at", "abc", [[
    local sink = mem:at("below"):create()
    q.body:into(sink)
    sink:commit "x"
    assert(mem:stat "below/x")]] },
  { "exists", "abc", [[
    mem:put("taken", "1")
    local sink = mem:create()
    q.body:into(sink)
    raises("EXISTS", sink.commit, sink, "taken", { if_absent = true })
    sink:commit "free"
    sink = mem:create "never"
    sink:abort()
    assert(mem:stat "never" == nil)]] },
  { "objects", nil, [[
    local o = mem:put("o", "hello", { type = "t/t", meta = { a = "b" } })
    assert(o.size == 5 and o.etag ~= "" and math.abs(o.modified - gate.now()) < 60)
    local s = mem:stat "o"
    assert(s.type == "t/t" and s.meta.a == "b" and s.etag == o.etag)
    assert(mem:stat "absent" == nil and mem:open "absent" == nil and mem:read("absent", 1) == nil)
    assert(mem:open("o", { offset = 1, size = 3 }):text(9) == "ell")
    local text, fields = mem:read("o", 5)
    assert(text == "hello" and fields.size == 5)
    raises("TOO_LARGE", mem.read, mem, "o", 4)
    raises("EXISTS", mem.put, mem, "o", "x", { if_absent = true })
    local new = mem:put_if("o", "two", o.etag)
    raises("EXISTS", mem.put_if, mem, "o", "three", o.etag)
    raises("EXISTS", mem.put_if, mem, "o", "three", "")
    assert(mem:touch "o" == true and mem:touch "absent" == false)
    assert(mem:expire("o", 1) == false and mem:expire("o", gate.now() + 60) == true)
    assert(mem:remove "o" == false and mem:put("o", "") and mem:remove "o" == true)
    raises("UNSUPPORTED", function() mem:url("o", { method = "GET", expires = "20m" }) end)]] },
  { "lists", nil, [[
    local l = mem:at "list"
    for _, name in ipairs { "b/2", "a", "b/1", "c" } do l:put(name, name) end
    local all, more = l:list ""
    assert(#all == 4 and not more and all[1].name == "a" and all[2].name == "b/1")
    assert(all[1].size == 1 and all[1].modified > 0)
    local some, rest = l:list("", { delimiter = true, after = "a", limit = 1 })
    assert(#some == 1 and rest and some[1].name == "b/" and some[1].prefix)
    assert(l:at("b"):list("")[1].name == "1")
    assert(l:remove_prefix "b/" == 2 and #l:list "" == 2)]] },
  { "moves", nil, [[
    mem:put("m1", "one") mem:put("m2", "two")
    mem:copy("m1", "m3") mem:move("m3", "m4") mem:concat({ "m1", "m2" }, "m5")
    assert(mem:stat "m3" == nil and mem:read("m4", 9) == "one" and mem:read("m5", 9) == "onetwo")
    raises("NOT_FOUND", mem.copy, mem, "absent", "x")
    raises("NOT_FOUND", mem.move, mem, "absent", "x")]] },
  { "keys", nil, [[
    for _, key in ipairs { "", "/a", "a/", "a//b", "..", "a/./b", "a\0b", ("x"):rep(2000) } do
      raises("INVALID", mem.stat, mem, key)
      raises("INVALID", mem.at, mem, key)
    end
    assert(not pcall(mem.stat, mem, 7) and not pcall(mem.stat, mem))]] },
  { "spaces", nil, [[
    local p = { a = "x", b = "y" }
    assert(space:key(p) == "x/y")
    space:put(p, "1")
    assert(mem:read("space/x/y", 9) == "1" and space:stat(p).size == 1 and space:touch(p))
    assert(space:open(p):text(9) == "1" and space:read(p, 9) == "1")
    space:create(p):abort()
    assert(space:remove(p))
    local ok, e = pcall(lazy.stat, lazy, p)
    assert(not ok and e:find("key function of a space may not wait (called store:read)", 1, true))
  ]] },
  { "json", '{"a":[1,2],"b":null}', [[
    local v = q:json({ object = { a = { array = "integer" }, b = "any" } }, { limit = "1k" })
    assert(v.a[2] == 2 and v.b == gate.json.null)]] },
  { "json-long", "[" .. ("1,"):rep(40000) .. "1]", [[
    local v = q:json({ array = "integer" })
    assert(#v == 40001 and gate.json.encode(v):sub(1, 4) == "[1,1")]] },
  { "json-broken", '{"a":' .. (" "):rep(70000) .. "}", [[
    local e = raises("INVALID", q.json, q)
    assert(e.position > 70000, e.position)]] },
  { "json-type", "x", [[ assert(raises("UNSUPPORTED_TYPE", q.json, q).status == 415) ]] },
  { "values", nil, [[
    assert(gate.json.encode(gate.json.array {}) == "[]" and gate.json.decode "[]"[1] == nil)
    assert(gate.size "4m" == 4194304 and gate.duration "24h" == 86400)
    raises("INVALID", gate.size, "x") raises("INVALID", gate.duration, "x")
    assert(gate.base64.decode(gate.base64.encode "\0\255") == "\0\255")
    assert(gate.base64.encode("\255\255\255", "url") == "____")
    assert(#gate.random(16) == 16 and gate.uuid() ~= gate.uuid() and gate.now() > 1e9)
    assert(#gate.hmac("sha256", "k", "t") == 64 and gate.env("NO_SUCH_NAME", 7) == 7)
    gate.log.debug("one") gate.log.info("two", { n = 1 }) gate.log.warn("three", { s = "a b" })
    gate.log.error("four", { t = {} })]] },
  { "keys", nil, [[
    for text, fits in pairs { ["a/b"] = true, a = true, [""] = false, ["/a"] = false,
      ["a/"] = false, ["a//b"] = false, ["a/../b"] = false, [".tidegate/x"] = false,
      ["a\0b"] = false, [("x"):rep(256)] = false, [("x/"):rep(510) .. "x"] = true,
      [("x/"):rep(512) .. "x"] = false } do
      assert(mem:is_key(text) == fits, text)
    end
    assert(not mem:at("below"):is_key(("x/"):rep(510) .. "x"))
    assert(not pcall(mem.is_key, mem, 7))
    assert(gate.trial() == false)]] },
  { "hash-long", nil, [[
    local text = ("0123456789abcdef"):rep(2 ^ 16)
    mem:put("long", text)
    assert(mem:open("long"):into(nil).sha256 == gate.hash("sha256", text))]] },
  { "moves-sized", nil, [[
    mem:put("s1", "one")
    raises("RANGE", mem.move, mem, "s1", "s2", { size = 2 })
    assert(mem:stat "s2" == nil)
    mem:move("s1", "s2", { size = 3 })
    assert(mem:read("s2", 9) == "one" and mem:stat "s1" == nil)]] },
  { "glob", nil, [[
    assert(gate.glob("ci/**", "ci/a/b") and not gate.glob("ci/*", "ci/a/b"))
    assert(gate.glob("{ci,test}/?*", "test/a") and gate.glob("v\\*", "v*"))
    local ok, e = pcall(gate.glob, "[a]", "a")
    assert(not ok and e:find("gate.glob: no sets", 1, true))
    assert(not pcall(gate.glob, nil, "a") and not pcall(gate.glob, "a", 7))]] },
  { "shared", nil, [[
    assert(shared:get "k" == nil and shared:add("k", "one") and not shared:add("k", "two"))
    shared:set("b", false, "1h")
    shared:set("n", 1.5)
    shared:set("z", "a\0b")
    assert(shared:get "k" == "one" and shared:get "b" == false and shared:get "n" == 1.5)
    assert(shared:get "z" == "a\0b")
    assert(shared:incr "n" == 2.5 and shared:incr("n", -2) == 0.5)
    assert(shared:incr("new", 1, 10, "1h") == 11 and shared:incr("short", 1, 0, "1ms") == 1)
    gate.sleep "3ms"
    assert(shared:get "short" == nil and shared:incr "short" == 1)
    raises("INVALID", shared.incr, shared, "k")
    raises("INVALID", shared.get, shared, ("k"):rep(1025))
    raises("TOO_LARGE", shared.set, shared, "k", ("x"):rep(60000))
    assert(shared:delete "k" and not shared:delete "k")
    assert(not pcall(shared.set, shared, "k", {}) and not pcall(shared.get, shared, {}))
    assert(not pcall(shared.set, shared, "k", 1, "soon") and not pcall(gate.shared, "late"))]] },
  { "password", nil, [[
    local hash = gate.password.hash("secret", { cost = 4 })
    assert(gate.password.cost(hash) == 4 and gate.password.verify("secret", hash) == true)
    assert(gate.password.verify("Secret", hash) == false)
    local cost, what = gate.password.cost "$apr1$salt$hash"
    assert(cost == nil and what == "Apache's MD5 ($apr1$)")
    raises("UNSUPPORTED", gate.password.verify, "x", "$apr1$salt$hash")
    raises("TOO_LARGE", gate.password.hash, ("x"):rep(73), { cost = 4 })
    raises("INVALID", gate.password.hash, "")
    assert(not pcall(gate.password.hash, "x", { cost = 3 }))
    assert(not pcall(gate.password.verify, "x") and not pcall(gate.password.cost))]] },
  { "keep", "abc", [[ kept = q.body ]] },
  { "kept", nil, [[
    local ok, e = pcall(kept.text, kept, 9)
    assert(not ok and e:find("this stream is used up, closed", 1, true), e)]] },
  { "slow", nil, [[
    raises("BUSY", slow.put, slow, "a", "b")
    slow:put("a", "b")
    assert(slow:read("a", 1) == "b" and #slow:list "" == 0)]] },
  { "late", nil, [[
    local ok, e = pcall(gate.store.mem, { name = "late" })
    assert(not ok and e:find("declared while the script loads", 1, true), e)
    ok, e = pcall(require, "apps.registry")
    assert(not ok and e:find("modules are loaded while the script loads", 1, true), e)]] },
}

local REPLIES = [[
replies:get("/text", function() return gate.reply(200, "hi", { ["X-A"] = { "1", 2 } }) end)
replies:get("/json", function() return gate.reply(201, { a = 1 }) end)
replies:get("/object", function()
  mem:put("page", "0123456789", { type = "text/css" })
  return gate.reply(200, mem:open "page")
end)
replies:get("/nothing", function() end)
replies:get("/mistake", function() local t return t.x end)
replies:get("/memory", function() local t = {} for i = 1, 1e9 do t[i] = { i } end end)
replies:get("/yield", function() coroutine.yield() end)
replies:get("/header", function() return gate.reply(200, "", { ["X-A"] = "a\r\nb: c" }) end)
replies:get("/length", function() return gate.reply(200, "", { ["Content-Length"] = "7" }) end)
replies:get("/fail", function() gate.fail(418, "TEAPOT", "short", { stout = true }) end)
replies:get("/later", function() gate.fail(503, "LATER") end)
replies:get("/error", function() mem:copy("absent", "x") end)
replies:post("/all/{x...}", function(q) return gate.reply(200, q.params.x) end)
replies:patch("/all/{x...}", function() return gate.reply(200) end)
replies:delete("/all/{x...}", function() return gate.reply(204) end)
replies:head("/text", function() return gate.reply(202) end)
]]

describe("the Lua API", function()
  local g

  setup(function()
    local handlers = {}
    for _, probe in ipairs(PROBES) do
      handlers[#handlers + 1] = ("[%q] = function(q)\n%s\nend"):format(probe[1], probe[3])
    end
    local script = SCRIPT:gsub("%%s", function() return table.concat(handlers, ",\n") end, 1)
    script = script:gsub("%%s", function() return REPLIES end, 1)
    g = gateway.start { script = script }
  end)
  teardown(function() g:stop() end)

  for _, probe in ipairs(PROBES) do
    it("answers: " .. probe[1], function()
      local kind = probe[1]:find "^json" and probe[1] ~= "json-type" and "application/json"
      local reply = g:request("PUT", "/probe/" .. probe[1] .. "?a=1&a=2", {
        body = probe[2],
        headers = { ["Content-Type"] = kind or "Text/Plain; x=y", ["X-Two"] = "1, 2" },
      })
      assert.equal(200, reply.status, reply.body)
    end)
  end

  local CASES = {
    { "GET", "/healthz", 200, "ok" },
    { "GET", "/reply/text", 200, "^hi$" },
    { "GET", "/reply/json", 201, '^{"a":1}$' },
    { "GET", "/reply/object", 200, "^0123456789$" },
    { "HEAD", "/reply/text", 202, "" },
    { "HEAD", "/reply/object", 200, "" },
    { "GET", "/reply/nothing", 500, '"code":"INTERNAL"' },
    { "GET", "/reply/mistake", 500, "see the log for request %x+" },
    { "GET", "/reply/memory", 500, '"code":"INTERNAL"' },
    { "GET", "/reply/text", 200, "^hi$" },
    { "GET", "/reply/yield", 500, '"code":"INTERNAL"' },
    { "GET", "/reply/header", 500, '"code":"INTERNAL"' },
    { "GET", "/reply/length", 500, '"code":"INTERNAL"' },
    { "GET", "/reply/fail", 418, '"code":"TEAPOT","detail":{"stout":true},"message":"short"' },
    { "GET", "/odd", 418, "" },
    { "GET", "/reply/error", 404, '"code":"NOT_FOUND"' },
    { "POST", "/reply/all/a/b%2Fc", 200, "^a/b/c$" },
    { "PATCH", "/reply/all/a", 200, "" },
    { "DELETE", "/reply/all/a", 204, "" },
    { "GET", "/reply/all/a", 405, "METHOD_NOT_ALLOWED" },
    { "GET", "/else", 404, "NOT_FOUND" },
    { "GET", "/replying", 404, "NOT_FOUND" },
  }

  for _, case in ipairs(CASES) do
    it(("answers %s %s with %d"):format(case[1], case[2], case[3]), function()
      local reply = g:request(case[1], case[2])
      assert.equal(case[3], reply.status, reply.body)
      assert.truthy((reply.body or ""):find(case[4]), reply.body)
    end)
  end

  it("says with each 503 when to come again", function()
    local reply = g:request("GET", "/reply/later")
    assert.same({ 503, "5" }, { reply.status, reply.header "retry-after" })
  end)

  it("sends ranges, entity tags and types of objects", function()
    local whole = g:request("GET", "/reply/object")
    assert.equal("text/css", whole.header "content-type")
    local part = g:request("GET", "/reply/object", { headers = { Range = "bytes=2-4" } })
    assert.same({ 206, "234" }, { part.status, part.body })
  end)
end)

describe("gate.serve", function()
  for text, message in pairs {
    ['gate.serve {}'] = "a list of applications is expected",
    ['gate.serve { 7 }'] = "number 1 is no application",
    ['gate.serve { gate.health "/a", gate.health "/a" }'] = "two applications with the prefix",
    ['gate.health "/a" gate.config {}'] = "must be the first call",
    ['gate.app { prefix = "a" }'] = "'prefix' must begin with /",
    ['gate.app {}:get("/{x}x", print)'] = "undeclared global 'print'",
    ['gate.app {}:get("/{x}x", gate.now)'] = "must fill a whole segment",
    ['local x = 1'] = "does not call gate.serve",
    ['gate.store.mem { name = "a" }:stat "b"'] = "not while the script loads",
  } do
    it("refuses: " .. text, function()
      local tool = require "spec.tool"
      local folder = tool.tmpdir()
      tool.write(folder .. "/gate.lua", 'local gate = require "tidegate"\n' .. text)
      local ok, out = tool.run((os.getenv "TIDEGATE_BIN" or "build/tidegate") .. " check "
        .. folder .. "/gate.lua")
      tool.remove(folder)
      assert.is_false(ok)
      assert.truthy(out:find(message, 1, true), out)
      assert.truthy(out:find "gate.lua:?[2 ]?:", out)
    end)
  end
end)

describe("app:after", function()
  local g
  setup(function()
    g = gateway.start { script = [[
      local gate = require "tidegate"
      gate.config { listen = gate.env "TIDEGATE_LISTEN" }
      local app = gate.app { prefix = "/a" }
      app:use(function(q) if q.query.early then return gate.reply(202, "early") end end)
      app:after(function(q, r)
        r.headers = r.headers or {}
        r.headers["X-Seen"] = r.status
        if q.query.other then return gate.reply(299, "other") end
        if q.query.odd then return "odd" end
        if q.query.raise and r.status < 400 then error "a mistake" end
      end):after(function(_, r)
        r.headers = r.headers or {}
        r.headers["X-Last"] = r.status
      end)
      app:get("/", function(q)
        if q.query.fail then gate.fail(409, "X") end
        return gate.reply(200, "ok")
      end)
      gate.serve { app, gate.health "/healthz" }
    ]] }
  end)
  teardown(function() g:stop() end)

  it("sees every reply, and may change it or give another", function()
    for _, case in ipairs {
      { "", 200, "ok", "200", "200" },
      { "?early=1", 202, "early", "202", "202" },
      { "?fail=1", 409, nil, "409", "409" },
      { "?other=1", 299, "other", nil, "299" },
      { "?raise=1", 500, nil, "500", "500" },
    } do
      local reply = g:request("GET", "/a" .. case[1])
      assert.equal(case[2], reply.status, case[1])
      if case[3] then assert.equal(case[3], reply.body) end
      assert.equal(case[4], reply.header "x-seen")
      assert.equal(case[5], reply.header "x-last")
    end
  end)

  it("has a mistake when it returns what is no reply", function()
    assert.equal(500, g:request("GET", "/a?odd=1").status)
    assert.truthy(g:log():find("app:after must return a reply or nothing", 1, true))
  end)

  it("is for its own application", function()
    assert.is_nil(g:request("GET", "/healthz").header "x-seen")
  end)
end)
