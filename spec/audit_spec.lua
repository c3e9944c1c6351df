-- SPDX-License-Identifier: Apache-2.0
-- The audit log: nothing changes without a record, whatever the disk and the process do.
local gateway = require "spec.gateway"
local json = require "dkjson"
local signal = require "posix.signal"
local tool = require "spec.tool"

local INDEX = "application/vnd.oci.image.index.v1+json"
local KILLS = 8

local g, data
after_each(function()
  if g then g:stop() end
  if data then tool.remove(data) end
  g, data = nil, nil
end)

local SCRIPT = [[
local gate = require "tidegate"
local registry = require "apps.registry"
gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 2, log = { access = false },
  limits = { wait = "2s" } }
local log = gate.audit "own.jsonl"
local app = gate.app { prefix = "/own" }
app:post("/tell", function(q) log:write(q, { what = "a\nb\255" }) return gate.reply(204) end)
app:post("/change/{how}", function(q)
  local got = log:change(q, { what = q.params.how }, function(how)
    if how == "typed" then gate.fail(409, "TAKEN", "taken") end
    if how == "mistake" then error "oops" end
    return how .. "!"
  end, q.params.how)
  return gate.reply(200, got)
end)
app:post("/long", function(q)
  log:write(q, { what = ("x"):rep(5000) })
end)
app:post("/wrong", function(q) log:write(q, { what = {} }) end)
local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA" }
gate.serve { app, registry { store = disk, audit = gate.env("AUDIT", "audit.jsonl"),
  auth = { identify = function(q) return { name = q.headers["x-user"] or "" } end },
  allow = function(q) return q.headers["x-no"] == nil, "because" end } }
]]

local function start(env)
  data = data or tool.tmpdir()
  g = gateway.start { script = SCRIPT, data = data, env = env }
end

local function records(name)
  local list = {}
  local text = tool.read(data .. "/.tidegate/" .. (name or "audit.jsonl")) or ""
  for line in text:gmatch "([^\n]*)\n" do
    list[#list + 1] = assert(json.decode(line), line)
  end
  return list
end

local function index(text)
  return json.encode { schemaVersion = 2, mediaType = INDEX, manifests = json.decode "[]",
    annotations = { text = text } }
end

local function push(c, ref, text, headers)
  local all = { ["Content-Type"] = INDEX }
  for name, value in pairs(headers or {}) do all[name] = value end
  local body = index(text)
  local head = require("spec.wire").head("PUT", "/v2/a/b/manifests/" .. ref,
    { body = body, headers = all })
  c:send(head .. body)
  return c:read_reply(), tool.digest(body)
end

-- event, action, tag, old, new of each
local function short(list)
  local out = {}
  for i, r in ipairs(list) do
    out[i] = table.concat({ r.event, r.action, r.tag or "-", r.old or "-", r.new or "-" }, " ")
  end
  return out
end

describe("the audit log", function()
  it("has a pair of records for each change of a tag or manifest", function()
    start()
    local c = g:raw()
    local _, one = push(c, "v1", "one", { ["X-User"] = "ann" })
    local _, two = push(c, "v1", "two")
    assert.equal(201, push(c, two, "two").status)
    assert.equal(401, push(c, "v1", "three", { ["X-No"] = "1" }).status)
    assert.equal(202, c:request("DELETE", "/v2/a/b/manifests/v1").status)
    assert.equal(404, c:request("DELETE", "/v2/a/b/manifests/v1").status)
    push(c, "v2", "two")
    assert.equal(202, c:request("DELETE", "/v2/a/b/manifests/" .. two).status)
    c:close()
    local list = records()
    assert.same({
      "begun tag v1 - " .. one, "done tag v1 - " .. one,
      "begun tag v1 " .. one .. " " .. two, "done tag v1 " .. one .. " " .. two,
      "begun push - - " .. two, "done push - - " .. two,
      "begun untag v1 " .. two .. " -", "done untag v1 " .. two .. " -",
      "begun tag v2 - " .. two, "done tag v2 - " .. two,
      "begun untag v2 " .. two .. " -", "done untag v2 " .. two .. " -",
      "begun delete - " .. two .. " -", "done delete - " .. two .. " -",
    }, short(list))
    local r = list[1]
    assert.same({ "ann", "127.0.0.1", "a/b", 1 }, { r.user, r.address, r.repository, r.generation })
    assert.truthy(r.id:find "^%x+$")
    assert.equal(r.change, list[2].change)
    assert.is_nil(list[3].user)
  end)

  it("is open to every script", function()
    start()
    assert.equal("fine!", g:request("POST", "/own/change/fine").body)
    assert.equal(409, g:request("POST", "/own/change/typed").status)
    assert.equal(500, g:request("POST", "/own/change/mistake").status)
    assert.equal(204, g:request("POST", "/own/tell").status)
    assert.equal(413, g:request("POST", "/own/long").status)
    assert.equal(500, g:request("POST", "/own/wrong").status)
    local list = records "own.jsonl"
    local events = {}
    for i, r in ipairs(list) do events[i] = r.event .. " " .. r.what .. " " .. (r.why or "") end
    assert.same({ "begun fine ", "done fine ", "begun typed ", "failed typed TAKEN",
      "begun mistake ", "failed mistake INTERNAL", "told a\nb\xef\xbf\xbd " }, events)
  end)

  it("refuses the change when it cannot be written", function()
    local ok = tool.run "test -e /dev/full"
    start()
    local c = g:raw()
    local _, one = push(c, "v1", "one")
    tool.run(("rm -rf %s/.tidegate/audit.jsonl; mkdir %s/.tidegate/audit.jsonl"):format(data, data))
    local reply = push(c, "v1", "two")
    assert.equal(503, reply.status)
    assert.truthy(reply.body:find("the audit log cannot be written", 1, true), reply.body)
    assert.equal(503, c:request("DELETE", "/v2/a/b/manifests/v1").status)
    assert.equal(one, c:request("GET", "/v2/a/b/manifests/v1").header "Docker-Content-Digest")
    tool.run(("rmdir %s/.tidegate/audit.jsonl"):format(data))
    assert.equal(201, push(c, "v1", "two").status)
    assert.equal(2, #records())
    c:close()
    assert(ok and g:logged "the audit log cannot be written")
  end)

  it("refuses to start where it cannot be", function()
    data = tool.tmpdir()
    local ok, why = pcall(start, { AUDIT = "/proc/no/audit" })
    assert.falsy(ok)
    assert.truthy(why:find("cannot open the audit log /proc/no/audit", 1, true), why)
  end)

  it("goes on in a new file when its own was moved, behind an end that was torn", function()
    start()
    local path = data .. "/.tidegate/audit.jsonl"
    local c = g:raw()
    local _, one = push(c, "v1", "one")
    os.rename(path, path .. ".1")
    local _, two = push(c, "v1", "two")
    local f = io.open(path, "a")
    f:write '{"time":"2026-11-22T07:20:06.440Z","ev'
    f:close()
    local _, three = push(c, "v1", "three")
    c:close()
    local ok, out = g:command("history " .. g.path .. " a/b:v1")
    assert.truthy(out:find("1 damaged lines were left out", 1, true), out)
    local from = {}
    for old, new in out:gmatch "tag  (%S+) %-> (%S+)" do from[#from + 1] = old .. ">" .. new end
    assert.same({ "nothing>" .. one:sub(1, 19), one:sub(1, 19) .. ">" .. two:sub(1, 19),
      two:sub(1, 19) .. ">" .. three:sub(1, 19) }, from, out)
    assert.truthy(ok)
  end)

  it("is read by history, for people and for programs", function()
    start()
    local c = g:raw()
    push(c, "v1", "one", { ["X-User"] = "ann" })
    push(c, "v2", "one")
    c:close()
    local _, out = g:command("history " .. g.path .. " a/b:v1 --json")
    local r = assert(json.decode(out), out)
    assert.same({ "done", "v1", "ann" }, { r.event, r.tag, r.user })
    _, out = g:command("history " .. g.path .. " a/b")
    local _, n = out:gsub("\n", "")
    assert.equal(2, n, out)
    _, out = g:command("history " .. g.path .. " other/repo")
    assert.equal("", out)
    tool.write(data .. "/.tidegate/audit.jsonl", '{"time":"t","event":"begun","change":"1",'
      .. '"repository":"a/b","tag":"v1","action":"tag","new":"sha256:x"}\n')
    _, out = g:command("history " .. g.path .. " a/b:v1")
    assert.truthy(out:find("CUT OFF", 1, true), out)
    local ok, why = g:command("history " .. g.path)
    assert.falsy(ok)
    assert.truthy(why:find("usage: tidegate history", 1, true), why)
  end)

  it("is read by history as far as it is known, and what is not is named", function()
    start()
    local c = g:raw()
    push(c, "v1", "one")
    c:close()
    local path = data .. "/.tidegate/audit.jsonl"
    local known = tool.read(path)
    local later = '{"_format":2,"event":"moved","repository":"a/b"}\n'
    tool.write(path, known .. later .. later)
    tool.write(path .. ".1", known:gsub("^{", '{"_format":1,'))
    local ok, out = g:command("history " .. g.path .. " a/b:v1")
    assert.falsy(ok)
    local _, n = out:gsub("audit.jsonl: version 2 is newer than this program knows %(1%)\n", "")
    assert.equal(1, n, out)
    assert.is_nil(out:find("audit.jsonl.1: version", 1, true), out)
    assert.truthy(out:find("nothing -> sha256:", 1, true), out)
  end)

  it("is shared by gateways, and by clients at the same time", function()
    start()
    local first = g
    g = gateway.start { script = SCRIPT, data = data }
    local second, list = g, {}
    g = first
    for i = 1, 8 do list[i] = { c = (i % 2 == 0 and first or second):raw() } end
    for round = 1, 10 do
      for i, one in ipairs(list) do
        local body = index(i .. "/" .. round)
        one.c:send(require("spec.wire").head("PUT", "/v2/a/b/manifests/t" .. i,
          { body = body, headers = { ["Content-Type"] = INDEX } }) .. body)
      end
      for _, one in ipairs(list) do assert.equal(201, one.c:read_reply().status) end
    end
    for _, one in ipairs(list) do one.c:close() end
    second:stop()
    local done, begun = 0, {}
    for _, r in ipairs(records()) do
      if r.event == "begun" then begun[r.change] = true end
      if r.event == "done" then
        assert.truthy(begun[r.change])
        done = done + 1
      end
    end
    assert.equal(80, done)
  end)

  it("holds every change that was acknowledged, however the gateway dies", function()
    data = tool.tmpdir()
    local acknowledged = {}
    for round = 1, KILLS do
      start()
      local c = g:raw()
      for i = 1, 5 + round do
        local reply, digest = push(c, "v1", round .. "." .. i)
        assert.equal(201, reply.status)
        acknowledged[#acknowledged + 1] = digest
      end
      -- one more, which the kill meets somewhere
      local body = index("killed " .. round)
      c:send(require("spec.wire").head("PUT", "/v2/a/b/manifests/v1",
        { body = body, headers = { ["Content-Type"] = INDEX } }) .. body)
      g:signal(signal.SIGKILL)
      g:wait()
      g:kill()
      c:close()
      g = nil
    end
    local done, begun = {}, {}
    for _, r in ipairs(records()) do
      if r.event == "done" then done[r.new] = true end
      if r.event == "begun" then begun[r.new] = true end
    end
    for _, digest in ipairs(acknowledged) do
      assert.truthy(begun[digest] and done[digest], digest)
    end
    start()
    local now = g:request("GET", "/v2/a/b/manifests/v1").header "Docker-Content-Digest"
    assert.truthy(begun[now])
  end)
end)
