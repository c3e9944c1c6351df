-- SPDX-License-Identifier: Apache-2.0
-- `tidegate explain`: what would become of a request, and that nothing does.
local json = require "dkjson"
local lfs = require "lfs"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"

local SCRIPT = [[
local gate = require "tidegate"
local registry = require "apps.registry"
local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA" }
local function allow(q)
  if q.action == "pull" then return true end
  return q.user.name == "builder", "only builder may change anything"
end
local app = gate.app { prefix = "/app" }
local art = gate.space { store = disk:at "art", key = function(p) return p.name .. "/data" end }
app:use(function(q)
  gate.decided("office hours", q.headers["x-hour"] ~= "3", "nobody works at night")
  if q.headers["x-hour"] == "3" then gate.fail(403, "NIGHT", "come back later") end
end)
app:get("/{name}", function(q)
  return gate.reply(200, art:open(q.params) or gate.fail(404, "UNKNOWN"))
end)
app:put("/{name}", function(q)
  return gate.reply(201, q.body:into(art:create(q.params)))
end)
app:post("/{name}", function(q)
  local n = #q.body:text "1k"
  pcall(function() disk:put("stolen", "x") end) -- even so nothing is written
  disk:remove("art/" .. q.params.name .. "/data")
  return gate.reply(200, { size = n })
end)
app:patch("/{name}", function()
  gate.after("1h", function() disk:put("late", "x") end)
  gate.http.request("POST", "http://127.0.0.1:1/hook?secret=1")
end)
app:delete("/{name}", function(q)
  disk:touch("art/" .. q.params.name .. "/data")
  error("a mistake")
end)
local early = gate.app { prefix = "/early" }
early:explain(function(q)
  gate.decided("size", q.params.name ~= "big", "too big")
  gate.undecided("scan")
  if q.params.name == "bad" then error "a mistake" end
  disk:put("stolen", "x")
end)
early:put("/{name}", function(q) return gate.reply(200, { size = #q.body:text "1k" }) end)
local reg = registry { store = disk, allow = allow, immutable = { "v*" },
  admit = function(m) return m.annotations.good == "yes", "not good" end,
  quota = function() return "1g" end,
  limits = { requests = "1/h", burst = 1, up = "1m", uploads = 1 } }
gate.serve { reg, early, app, gate.health "/healthz" }
]]

describe("tidegate explain", function()
  local folder, data
  setup(function()
    folder = tool.tmpdir()
    data = folder .. "/data"
    tool.write(folder .. "/gate.lua", SCRIPT)
    tool.write(folder .. "/body", "four")
    tool.write(folder .. "/index", '{"manifests":[]}')
    tool.must(("mkdir -p %s/art/x && echo hello > %s/art/x/data"):format(data, data))
    local tag = data .. "/docker/registry/v2/repositories/a/set/_manifests/tags/v1/current"
    tool.must(("mkdir -p %s && printf sha256:%s > %s/link"):format(tag, ("a"):rep(64), tag))
  end)
  teardown(function() tool.remove(folder) end)

  local function explain(words, root)
    return tool.run(("TIDEGATE_DATA=%s %s explain %s/gate.lua %s 2>/dev/null"):format(root or data,
      PROGRAM, folder, words))
  end

  -- the request, whether it is allowed, and lines that are told, in their order
  local CASES = {
    { "GET /app/x", true, "application  /app", "route        GET /app/{name}  (",
      "gate.lua:14)",
      "parameter    name = x", "user         nobody",
      "rule         office hours: yes", "store        open fs:", " art/x/data",
      "answer       200", "result       allowed" },
    { "GET /app/y", true, "answer       404 UNKNOWN", "result       allowed" },
    { "GET /app/x --header 'X-Hour: 3'", false, "office hours: no, nobody works at night",
      "answer       403 NIGHT: come back later", "result       refused" },
    { "PUT /app/y", true, "next         create fs:", " art/y/data", "result       allowed" },
    { "POST /app/x", true, "next         read the body (--body FILE gives one)" },
    { "POST /app/x --body $F/body", true, "next         put fs:", " stolen" },
    { "PATCH /app/x", true, "later        ", "gate.lua:",
      "next         POST http://127.0.0.1:1/hook\n" },
    { "DELETE /app/x", false, "store        touch fs:", " art/x/data",
      "answer       500 INTERNAL" },
    { "GET /v2/a/b/manifests/v1", true, "parameter    repo = a/b", "rule         allow pull: yes",
      "docker/registry/v2/repositories/a/b/_manifests/tags/v1/current/link",
      "answer       404 MANIFEST_UNKNOWN" },
    { "PUT /v2/a/b/manifests/v1", false, "user         nobody", "rule         allow tag: no",
      "answer       401 UNAUTHORIZED: only builder may change anything" },
    { "PUT /v2/a/b/manifests/v1 --user eve --group dev --group ops", false,
      "user         eve (dev, ops)", "answer       403 DENIED" },
    { "PUT /v2/a/b/manifests/v1 --user builder", true, "rule         allow tag: yes",
      "next         read the body" },
    { "PUT /v2/a/b/manifests/v1 --user builder", true, "rule         immutable: yes",
      "v1 can be set once" },
    { "PUT /v2/a/set/manifests/v1 --user builder", false, "rule         immutable: no",
      "v1 is set, and takes no other", "next         read the body", "result       refused" },
    { "PUT /v2/a/b/manifests/t --user builder", true, "rule         allow tag: yes",
      "rule         admit: not asked, it needs the manifest (--body FILE gives one)",
      "rule         quota: not asked, it needs the body's size", "next         read the body",
      "result       allowed" },
    { "PUT /v2/a/b/manifests/t --user builder --body $F/index", false, "allow tag: yes",
      "rule         admit: no, not good", "answer       403 DENIED: not good" },
    { "POST /v2/a/b/blobs/uploads/ --user builder", true, "rule         allow push: yes",
      "next         put fs:", "_uploads/" },
    { "DELETE /v2/a/set/manifests/v1 --user builder", false, "rule         immutable: no",
      "answer       403 DENIED" },
    { "PUT /early/x", true, "rule         size: yes, too big", "rule         scan: not asked\n",
      "next         read the body" },
    { "PUT /early/big", false, "rule         size: no, too big", "result       refused" },
    { "PUT /early/big --body $F/body", true, "answer       200", "result       allowed" },
    { "GET /nowhere", false, "application  none", "route        none", "answer       404" },
    { "PUT /healthz", false, "application  /healthz", "route        none", "answer       405" },
  }

  for _, case in ipairs(CASES) do
    it("tells of " .. case[1], function()
      local ok, out = explain((case[1]:gsub("%$F", folder)))
      assert.equal(case[2], ok, out)
      local at = 1
      for i = 3, #case do
        local _, e = out:find(case[i], at, true)
        assert(e, case[i] .. " is not told, or not there:\n" .. out)
        at = e + 1
      end
      assert.is_nil(out:find("secret=1", 1, true))
    end)
  end

  it("changes nothing", function()
    local before = tool.files(data)
    assert.equal(2, #before)
    for _, case in ipairs(CASES) do explain((case[1]:gsub("%$F", folder))) end
    assert.same(before, tool.files(data))
    assert.is_true((explain("GET /app/x", folder .. "/none")))
    assert.is_nil(lfs.attributes(folder .. "/none"))
  end)

  it("speaks JSON", function()
    local ok, out = explain("PUT /v2/a/b/manifests/v1 --user eve --group dev --json")
    assert.is_false(ok)
    local told = assert(json.decode(out))
    assert.same({ name = "eve", groups = { "dev" } },
      { name = told.user.name, groups = { told.user.groups[1] } })
    assert.equal("PUT /v2/{repo...}/manifests/{ref}", told.route)
    assert.same({ repo = "a/b", ref = "v1" }, told.parameters)
    assert.equal("allow tag", told.trail[1].rule)
    assert.is_false(told.trail[1].allowed)
    assert.equal("DENIED", told.answer.code)
    assert.is_false(told.allowed)
    ok, out = explain("PUT /early/x --json")
    assert.is_true(ok)
    told = assert(json.decode(out))
    assert.same({ { rule = "size", asked = true, allowed = true, why = "too big" },
      { rule = "scan", asked = false } }, told.trail)
  end)

  it("refuses a wrong use with 2", function()
    for _, words in ipairs { "GET", "GET app/x", "GET /app/x --usr eve", "GET /app/x --user",
      "GET /app/x --header X" } do
      local _, out = tool.run(("%s explain %s/gate.lua %s; echo code=$?"):format(PROGRAM, folder,
        words))
      assert.truthy(out:find("usage: tidegate explain SCRIPT METHOD PATH", 1, true), out)
      assert.truthy(out:find "code=2")
    end
  end)

  it("says what is wrong with the script, and with the body", function()
    tool.write(folder .. "/bad.lua", "local gate = require 'tidegate'\ngate.config { lsten = 1 }\n")
    local ok, out = tool.run(("%s explain %s/bad.lua GET /"):format(PROGRAM, folder))
    assert.is_false(ok)
    assert.truthy(out:find("bad.lua:2: gate.config: unknown option 'lsten'", 1, true), out)
    ok, out = explain "GET '/app/x?a=%zz'"
    assert.is_false(ok)
    assert.truthy(out:find("INVALID: the query has a malformed escape", 1, true), out)
    ok, out = tool.run(("TIDEGATE_DATA=%s %s explain %s/gate.lua PUT /app/x --body %s/none"):format(
      data, PROGRAM, folder, folder))
    assert.is_false(ok)
    assert.truthy(out:find("none: No such file", 1, true), out)
  end)
end)
