-- SPDX-License-Identifier: Apache-2.0
-- `tidegate spec`: the specs of a policy, run by the program itself.
local lfs = require "lfs"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"

local SCRIPT = [[
local gate = require "tidegate"
local registry = require "apps.registry"
local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA" }
local app = gate.app { prefix = "/app" }
local began = gate.now()
app:get("/time", function()
  return gate.reply(200, { now = gate.now(), os = os.time(), hour = os.date "!%H", began = began })
end)
app:get("/stream", function() return gate.reply(200, function(write) write "a" write "b" end) end)
app:get("/user", function(q)
  return gate.reply(200, { name = q.user.name, groups = q.user.groups,
    address = q.address, scheme = q.scheme, agent = q.headers["user-agent"], page = q.query.page })
end)
app:put("/{name}", function(q)
  return gate.reply(201, { size = q.body:into(disk:create(q.params.name)).size, type = q.type })
end)
app:get("/{name}", function(q)
  return gate.reply(200, disk:open(q.params.name) or gate.fail(404, "UNKNOWN"))
end)
app:post("/hook", function()
  local a = gate.http.request("POST", "http://hooks.example/x",
    { body = "hi", headers = { A = "1" } })
  return gate.reply(a.status, a.body:text "1k")
end)
app:post("/later", function()
  gate.after(0, function() disk:put("later", "done") end)
  return gate.reply(202)
end)
app:delete("/mistake", function() error "oh" end)
local reg = registry { store = disk:at "reg", allow = function(q)
  return q.user.name == "ann", "only ann"
end }
gate.serve { app, reg }
]]

local GOOD = [[
local START = 1767614400
describe("the world", function()
  it("stands still until it is told to go on", function()
    local t = request { path = "/app/time" }.json
    assert.same({ now = START, os = START, hour = "12", began = START }, t)
    advance "3h"
    assert.equal(START + 3 * 3600, request { path = "/app/time" }.json.now)
    at "2024-02-29 23:30"
    assert.equal(1709249400, request { path = "/app/time" }.json.now)
    at "2026-11-22T03:00:05Z"
    assert.equal("03", request { path = "/app/time" }.json.hour)
    assert.equal(1795316405, gate_time())
  end)
  it("begins anew for each `it`", function()
    assert.equal(START, request { path = "/app/time" }.json.now)
  end)
  it("takes and gives bodies", function()
    local r = request { method = "PUT", path = "/app/x", body = "hello",
      headers = { ["Content-Type"] = "Text/Plain; charset=utf-8" } }
    assert.status(201, r)
    assert.same({ size = 5, type = "text/plain" }, r.json)
    assert.equal("hello", request { path = "/app/x" }.body)
    assert.equal("", request { method = "HEAD", path = "/app/x" }.body)
    assert.equal("ab", request { path = "/app/stream" }.body)
    assert.equal("application/json", request { path = "/app/user" }.headers["content-type"])
  end)
  it("has empty stores again", function()
    assert.status(404, request { path = "/app/x" })
  end)
  it("knows users, queries, headers and addresses", function()
    local r = request { path = "/app/user?page=2", user = "ann", groups = { "dev" },
      headers = { ["User-Agent"] = "curl" }, address = "10.0.0.1", tls = {} }
    assert.same({ name = "ann", groups = { dev = true }, address = "10.0.0.1", scheme = "https",
      agent = "curl",
      page = "2" }, r.json)
    assert.equal("", request { path = "/app/user" }.json.name)
  end)
  it("waits for what a request leaves behind", function()
    assert.status(202, request { method = "POST", path = "/app/later" })
    assert.equal("done", request { path = "/app/later" }.body)
  end)
  it("stands for other servers", function()
    local seen
    on_http(function(method, url, options)
      seen = { method, url, options.body, options.headers.a }
      return { status = 202, body = "thanks" }
    end)
    local r = request { method = "POST", path = "/app/hook" }
    assert.status(202, r)
    assert.equal("thanks", r.body)
    assert.same({ "POST", "http://hooks.example/x", "hi", "1" }, seen)
  end)
  it("has no other servers unless it is told to", function()
    assert.status(500, request { method = "POST", path = "/app/hook" })
  end)
end)
describe("a registry", function()
  local pushed
  before_each(function()
    pushed = push { repo = "a/b", tag = "v1", user = "ann", layers = { "one", "two" },
      labels = { team = "x" } }
  end)
  describe("with an image", function()
    it("has it", function()
      assert.status(201, pushed)
      local r = request { path = "/v2/a/b/manifests/v1", user = "ann" }
      assert.status(200, r)
      assert.equal(pushed.digest, r.headers["docker-content-digest"])
      assert.equal(2, #r.json.layers)
    end)
    it("refuses others", function()
      assert.status(401, request { path = "/v2/a/b/manifests/v1" })
      local r = push { repo = "a/b", user = "bob" }
      assert.status(403, r)
      assert.equal("only ann", r.json.errors[1].message)
    end)
  end)
end)
]]

local BAD = [[
describe("bad", function()
  it("is unequal", function() assert.equal(1, 2) end)
  it("is not the same", function() assert.same({ a = { 1 } }, { a = { 2 } }) end)
  it("has another status", function() assert.status(200, request { path = "/app/none" }) end)
  it("has a mistake", function() local x = nil; return x.y end)
  it("misspells", function() assert.eqal(1, 1) end)
  it("misspells an option", function() request { pth = "/" } end)
  it("raises", function() assert.error(function() end) end)
  it("asserts", function() assert(false, "said so") end)
  it("assigns", function() undeclared = 1 end)
  it("is good", function() assert.matches("^%d+$", "12") end)
  it("fails to fail", function() assert.error(function() error "x" end, "y") end)
end)
]]

describe("tidegate spec", function()
  local folder
  before_each(function()
    folder = tool.tmpdir()
    tool.write(folder .. "/gate.lua", SCRIPT)
    tool.must("mkdir " .. folder .. "/spec")
  end)
  after_each(function() tool.remove(folder) end)

  local function run(files, more)
    for name, text in pairs(files) do tool.write(folder .. "/spec/" .. name, text) end
    return tool.run(("cd %s && TIDEGATE_DATA=%s/data %s spec gate.lua %s"):format(folder, folder,
      PROGRAM:sub(1, 1) == "/" and PROGRAM or lfs.currentdir() .. "/" .. PROGRAM, more or "spec"))
  end

  it("runs a policy's specs, and touches nothing", function()
    local ok, out = run { ["a_spec.lua"] = GOOD:gsub("gate_time%(%)", "os.time()"),
      ["helper.lua"] = "error 'not a spec'" }
    assert(ok, out)
    assert.truthy(out:find("\n10 passed, 0 failed\n$"), out)
    assert.truthy(out:find("ok    a registry with an image refuses others", 1, true), out)
    assert.is_nil(lfs.attributes(folder .. "/data"))
  end)

  it("names what fails, and where", function()
    local ok, out = run { ["a_spec.lua"] = BAD }
    assert.is_false(ok)
    assert.truthy(out:find("\n1 passed, 10 failed\n$"), out)
    for _, text in ipairs {
      "spec/a_spec.lua:2: expected 1, got 2",
      "spec/a_spec.lua:3: expected { a = { 1 } }, got { a = { 2 } }",
      "spec/a_spec.lua:4: expected status 200, got 404 ",
      "spec/a_spec.lua:5: attempt to index local 'x'",
      "spec/a_spec.lua:6: assert has no 'eqal', did you mean 'equal'?",
      "spec/a_spec.lua:7: request: unknown option 'pth', did you mean 'path'?",
      "spec/a_spec.lua:8: expected an error",
      "said so",
      "spec/a_spec.lua:10: assignment to undeclared global 'undeclared'",
      "ok    bad is good",
      "spec/a_spec.lua:12: expected an error like",
    } do
      assert.truthy(out:find(text, 1, true), text .. " is missing in:\n" .. out)
    end
  end)

  it("runs every file in a gateway of its own, in their order", function()
    local one = "local n = 0\nit('first', function() request { method = 'PUT', path = '/app/k',"
      .. " body = 'x' } end)"
    local two = "it('second', function() assert.status(404, request { path = '/app/k' }) end)"
    local ok, out = run { ["b_spec.lua"] = two, ["a_spec.lua"] = one }
    assert(ok, out)
    assert.truthy(out:find("a_spec.lua\n  ok    first\nspec/b_spec.lua\n  ok    second", 1, true),
      out)
  end)

  it("runs one file", function()
    local ok, out = run({ ["a_spec.lua"] = BAD, ["b_spec.lua"] = "it('x', function() end)" },
      "spec/b_spec.lua")
    assert(ok, out)
    assert.truthy(out:find "1 passed, 0 failed")
  end)

  it("fails without specs, and for files that do not load", function()
    local ok, out = run {}
    assert.is_false(ok)
    assert.truthy(out:find("no file *_spec.lua in spec", 1, true), out)
    ok, out = run { ["a_spec.lua"] = "it('x', function( end)" }
    assert.is_false(ok)
    assert.truthy(out:find("spec/a_spec.lua:1:", 1, true), out)
    ok, out = run { ["a_spec.lua"] = "local x = 1" }
    assert.is_false(ok)
    assert.truthy(out:find("no `it` in this file", 1, true), out)
  end)

  it("writes to the script's own stores when it is told to", function()
    local ok, out = run({ ["a_spec.lua"] = "it('x', function() request { method = 'PUT',"
      .. " path = '/app/k', body = 'real' } end)" }, "spec --real-stores")
    assert(ok, out)
    assert.equal("real", tool.read(folder .. "/data/k"))
  end)
end)
