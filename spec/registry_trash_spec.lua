-- SPDX-License-Identifier: Apache-2.0
--
-- What is deleted can be brought back for a while: beside the gateways that run, in the order that
-- a crash demands, and out of the other registry's sight.
local gateway = require "spec.gateway"
local json = require "dkjson"
local peer = require "spec.peer"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"
local TRASH = "docker/registry/v2/_trash/"
local OLD = TRASH .. "2020-01-01T00/"

local SCRIPT = [[
  local gate = require "tidegate"
  local registry = require "apps.registry"
  gate.config { listen = gate.env("TIDEGATE_LISTEN"), workers = 1 }
  local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA") }
  gate.serve { registry { store = disk, %s } }
]]

describe("trash", function()
  local folder, g

  before_each(function() folder = tool.tmpdir() end)

  after_each(function()
    if g then g:stop() end
    g = nil
    tool.remove(folder)
  end)

  local function start(options)
    tool.write(folder .. "/gate.lua", SCRIPT:format(options))
    g = gateway.start { path = folder .. "/gate.lua", data = folder .. "/data",
      env = { LOGNAME = "op" } }
  end

  -- Whether it ended with 0, its lines, and what it said beside them.
  local function run(command, arguments)
    local ok, out = tool.run(("LOGNAME=op TIDEGATE_LISTEN=127.0.0.1:0 TIDEGATE_DATA=%s/data %s %s "
      .. "%s/gate.lua %s 2>%s/err"):format(folder, PROGRAM, command, folder, arguments or "",
      folder))
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    return ok, lines, tool.read(folder .. "/err")
  end

  local function restore(what, options)
    local ok, lines, err = run("restore", what .. " " .. (options or ""))
    return ok, lines[1] or err
  end

  -- The rows of `tidegate trash`.
  local function list(options)
    local ok, lines, err = run("trash", "--json " .. (options or ""))
    assert.is_true(ok, err)
    local rows = {}
    for i, line in ipairs(lines) do rows[i] = assert(json.decode(line)) end
    return rows
  end

  local function delete(ref, repo)
    local reply = g:request("DELETE", ("/v2/%s/manifests/%s"):format(repo or "ci/app", ref))
    assert.equal(202, reply.status, reply.body)
  end

  -- The digest behind a reference, or the status that is no 200.
  local function pull(ref, repo)
    local reply = g:request("GET", ("/v2/%s/manifests/%s"):format(repo or "ci/app", ref))
    return reply.status == 200 and reply.header "docker-content-digest" or reply.status
  end

  local function tags(repo)
    local reply = g:request("GET", ("/v2/%s/tags/list"):format(repo or "ci/app"))
    return pusher.decode(reply.body).tags
  end

  it("gives a deleted tag back", function()
    start [[ trash = "7d" ]]
    local digest = pusher.image(g, "ci/app", "v1", 1)
    pusher.image(g, "ci/app", "v2", 2)
    delete "v1"
    assert.equal(404, pull "v1")
    local rows = list()
    assert.equal(1, #rows)
    assert.same({ "ci/app:v1", digest }, { rows[1].what, rows[1].digest })
    assert.truthy(rows[1].deleted:find "^20%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$")
    assert.is_true(rows[1]["until"] > rows[1].deleted)
    local ok, err = restore "ci/app:v1"
    assert.is_true(ok, err)
    assert.truthy(err:find("restore: 1 restored, 0 faults", 1, true), err)
    assert.equal(digest, pull "v1")
    assert.same({ "v1", "v2" }, tags())
    assert.same({}, list())
    assert.same({ "not in the trash: what=ci/app:v1" }, { select(2, restore "ci/app:v1") })
  end)

  it("gives a deleted manifest back, with its tags and among the referrers", function()
    start [[ trash = "7d" ]]
    local subject = pusher.image(g, "ci/app", "base", 1)
    local empty = pusher.blob(g, "ci/app", "{}")
    local text = json.encode { schemaVersion = 2, mediaType = pusher.IMAGE, artifactType = "a/sig",
      config = empty, layers = { empty }, annotations = { note = "kept" },
      subject = { mediaType = pusher.IMAGE, digest = subject, size = 7 } }
    local digest = tool.digest(text)
    for _, tag in ipairs { "s1", "s2", "s3" } do pusher.put_manifest(g, "ci/app", tag, text) end
    local function referrers()
      return pusher.decode(g:request("GET", "/v2/ci/app/referrers/" .. subject).body).manifests
    end
    local before = referrers()
    assert.equal(digest, before[1].digest)
    delete(digest)
    assert.same({}, referrers())
    assert.same({ "base" }, tags())
    assert.equal(4, #list())
    pusher.image(g, "ci/app", "s3", 3)
    assert.is_true((restore("ci/app@" .. digest)))
    assert.equal(digest, pull(digest))
    assert.same(before, referrers())
    assert.equal(digest, pull "s2")
    assert.not_equal(digest, pull "s3", "it was pushed again")
    assert.same({ "base", "s1", "s2", "s3" }, tags())
    assert.equal(1, #list "--repo ci/app")
    assert.same({}, list "--repo ci/other")
  end)

  it("gives a tag back with its manifest and the links that were deleted since", function()
    start [[ trash = "7d" ]]
    local digest, text = pusher.image(g, "ci/app", "v1", 1)
    local layer = json.decode(text).layers[1].digest
    delete "v1"
    delete(digest)
    assert.equal(202, g:request("DELETE", "/v2/ci/app/blobs/" .. layer).status)
    assert.is_true((restore "ci/app:v1"))
    assert.equal(digest, pull "v1")
    assert.equal(200, g:request("HEAD", "/v2/ci/app/blobs/" .. layer).status)
    local hex = layer:match ":(.*)"
    delete "v1"
    delete(digest)
    assert.equal(202, g:request("DELETE", "/v2/ci/app/blobs/" .. layer).status)
    tool.must(("rm %s/data/docker/registry/v2/blobs/sha256/%s/%s/data"):format(folder,
      hex:sub(1, 2), hex))
    local ok, fault = restore "ci/app:v1"
    assert.is_false(ok)
    assert.equal("incomplete: gone=" .. layer .. " what=ci/app:v1", fault)
    assert.equal(404, pull "v1")
    assert.equal(404, pull(digest))
  end)

  it("does not move a tag that was pushed again, unless it is told to", function()
    start [[ trash = "7d", immutable = { "rel-*" } ]]
    local first, text = pusher.image(g, "ci/app", "v1", 1)
    delete "v1"
    local second = pusher.image(g, "ci/app", "v1", 2)
    local ok, fault = restore "ci/app:v1"
    assert.is_false(ok)
    assert.equal(("in the way: names=%s what=ci/app:v1 why=--force moves it back"):format(second),
      fault)
    assert.equal(second, pull "v1")
    assert.is_true((restore("ci/app:v1", "--force")))
    assert.equal(first, pull "v1")
    delete "v1"
    pusher.put_manifest(g, "ci/app", "v1", text)
    assert.truthy(select(2, restore "ci/app:v1"):find("1 there already", 1, true))
    assert.same({}, list())
  end)

  it("leaves an immutable tag alone, and sets one that is gone", function()
    start [[ trash = "7d" ]]
    local first = pusher.image(g, "ci/app", "rel-1", 1)
    pusher.image(g, "ci/app", "rel-2", 2)
    delete "rel-1"
    delete "rel-2"
    local other = pusher.image(g, "ci/app", "rel-2", 3)
    g:stop()
    start [[ trash = "7d", immutable = { "rel-*" } ]]
    local ok, fault = restore("ci/app:rel-2", "--force")
    assert.is_false(ok)
    assert.truthy(fault:find("why=it is immutable", 1, true), fault)
    assert.equal(other, pull "rel-2")
    assert.is_true((restore "ci/app:rel-1"))
    assert.equal(first, pull "rel-1")
  end)

  it("gives the last of several back, or the one that is named by its time", function()
    start [[ trash = "7d" ]]
    local digests = {}
    for i = 1, 3 do
      digests[i] = pusher.image(g, "ci/app", "v1", i)
      delete "v1"
    end
    local rows = list()
    assert.equal(3, #rows)
    assert.is_true((restore("ci/app:v1", "--at " .. rows[2].deleted)))
    assert.equal(digests[2], pull "v1")
    assert.is_true((restore("ci/app:v1", "--force")))
    assert.equal(digests[3], pull "v1")
    assert.truthy(select(2, restore("ci/app:v1", "--at 2019")):find "^not in the trash")
  end)

  it("tells the audit log, and says who deleted", function()
    start(([[ trash = "7d", audit = "%s/audit.jsonl", auth = {
      challenge = 'Basic realm="spec"',
      identify = function(q) return { name = q.headers["x-user"] or "" } end } ]]):format(folder))
    local digest = pusher.image(g, "ci/app", "v1", 1)
    local reply = g:request("DELETE", "/v2/ci/app/manifests/v1",
      { headers = { ["X-User"] = "ann" } })
    assert.equal(202, reply.status)
    assert.equal("ann", list()[1].by)
    assert.is_true((restore "ci/app:v1"))
    local ok, lines = run("history", "ci/app:v1 --json")
    assert.is_true(ok)
    local seen = {}
    for _, line in ipairs(lines) do
      local r = json.decode(line)
      seen[#seen + 1] = ("%s %s %s"):format(r.event, r.action, r.user or "-")
    end
    assert.same({ "done tag -", "done untag ann", "done restore op" }, seen)
    assert.truthy(tool.read(folder .. "/audit.jsonl"):find(digest, 1, true))
  end)

  it("is known to verify and usage", function()
    start [[ trash = "7d" ]]
    local digest = pusher.image(g, "ci/app", "v1", 1)
    delete(digest)
    local ok, lines, err = run "verify"
    assert.is_true(ok, table.concat(lines, "\n"))
    assert.truthy(err:find("2 deleted", 1, true), err)
    local _, rows = run("usage", "--json")
    assert.same({ 2, 2 }, { json.decode(rows[1]).trash, json.decode(rows[#rows]).trash })
    local hex = digest:match ":(.*)"
    tool.must(("rm %s/data/docker/registry/v2/blobs/sha256/%s/%s/data"):format(folder,
      hex:sub(1, 2), hex))
    tool.must(("mkdir -p %s/data/%sx/_tags/y"):format(folder, OLD))
    tool.write(("%s/data/%sx/_tags/y/001577836800000-1"):format(folder, OLD), "{")
    ok, lines = run "verify"
    assert.is_false(ok)
    assert.truthy(lines[1]:find "^damaged trash: ", lines[1])
    assert.truthy(lines[2]:find "^dangling trash: ", lines[2])
    tool.write(("%s/data/%sx/_tags/y/001577836800000-1"):format(folder, OLD), '{"_format":2}')
    ok, _, err = run "trash"
    assert.is_false(ok)
    assert.truthy(err:find("-1: version 2 is newer than this program knows (1)", 1, true), err)
  end)

  it("ends after its time, through one of the gateways, and what was restored stays", function()
    for i = 1, 100 do
      local place = ("%s/data/%sci/app/_tags/t%d"):format(folder, OLD, i)
      tool.must("mkdir -p " .. place)
      tool.write(("%s/001577836800000-%d"):format(place, i), "{}")
    end
    start [[ trash = "20s" ]]
    local kept = pusher.image(g, "ci/app", "kept", 1)
    delete "kept"
    assert.is_true((restore "ci/app:kept"))
    pusher.image(g, "ci/app", "late", 2)
    delete "late"
    local second = gateway.start { path = folder .. "/gate.lua", data = folder .. "/data" }
    assert.is_true(g:settles(function(files)
      for _, name in ipairs(files) do
        if name:sub(1, #OLD) == OLD then return false end
      end
      return (g:log() .. second:log()):find "trash emptied" ~= nil
    end), "what is old is removed")
    local log = g:log() .. second:log()
    second:stop()
    local _, n = log:gsub("trash emptied[^\n]*entries=100", "")
    assert.equal(1, n, log)
    assert.equal(kept, pull "kept")
  end)

  it("is written before the name goes", function()
    g = gateway.start { script = [[
      local gate = require "tidegate"
      local registry = require "apps.registry"
      gate.config { listen = gate.env("TIDEGATE_LISTEN"), workers = 1 }
      local store = gate.store.mem { name = "spec", fail = "remove_prefix:IO:1" }
      local all = gate.app { prefix = "/trash" }
      all:get("/", function()
        return gate.reply(200, gate.json.array(store:list "docker/registry/v2/_trash/"))
      end)
      gate.serve { all, registry { store = store, trash = "7d" } }
    ]] }
    local function entries() return #pusher.decode(g:request("GET", "/trash").body) end
    local index = '{"manifests":[]}'
    assert.equal(201, pusher.put_manifest(g, "ci/app", "v1", index, pusher.INDEX).status)
    assert.equal(500, g:request("DELETE", "/v2/ci/app/manifests/v1").status)
    assert.equal(tool.digest(index), pull "v1")
    assert.equal(1, entries())
    delete "v1"
    assert.equal(2, entries())
    assert.equal(404, g:request("DELETE", "/v2/ci/app/manifests/v1").status)
    assert.equal(2, entries(), "of what was gone already there is none")
  end)

  it("is out of docker-registry's sight", function()
    if not tool.has "docker-registry" then pending "docker-registry is not installed" end
    start [[ trash = "7d" ]]
    local digest = pusher.image(g, "ci/app", "v1", 1)
    pusher.image(g, "ci/app", "v2", 2)
    delete "v1"
    g:stop()
    g = peer.start(folder .. "/data")
    assert.same({ "ci/app" }, pusher.decode(g:request("GET", "/v2/_catalog").body).repositories)
    assert.same({ "v2" }, tags())
    pusher.image(g, "ci/app", "v3", 3)
    assert.is_true((restore "ci/app:v1"))
    local reply = g:request("GET", "/v2/ci/app/manifests/v1",
      { headers = { Accept = pusher.IMAGE } })
    assert.equal(digest, reply.header "docker-content-digest")
  end)

  it("refuses what makes no sense", function()
    local function checked(options)
      tool.write(folder .. "/gate.lua", SCRIPT:format(options))
      local ok, out = tool.run(("TIDEGATE_LISTEN=127.0.0.1:0 TIDEGATE_DATA=%s/data %s check "
        .. "%s/gate.lua"):format(folder, PROGRAM, folder))
      return not ok and out or ""
    end
    assert.truthy(checked [[ trash = "soon" ]]:find("'trash' must be a duration", 1, true))
    assert.truthy(checked [[ trash = "10ms" ]]:find("'trash' must be at least \"1s\"", 1, true))
    assert.truthy(checked [[ trash = "7d", layout = (function()
      local layout = {}
      for name, value in pairs(require "layouts.distribution") do layout[name] = value end
      layout.trash = nil
      return layout
    end)() ]]:find("'trash' needs a layout that has a place for it", 1, true))
    start [[ trash = "7d" ]]
    for _, what in ipairs { "ci/app", "ci/app:", ":v1", "CI/app:v1", "ci/app@v1", "a@sha256:12" } do
      local ok, err = restore(tool.quote(what))
      assert.is_false(ok)
      assert.truthy(err:find("neither REPO:TAG nor REPO@DIGEST", 1, true), err)
    end
    for _, arguments in ipairs { "", "a:b --at", "a:b --repo c", "a:b c", "a:b --force=1" } do
      local ok, err = restore(arguments)
      assert.is_false(ok)
      assert.truthy(err:find("usage: tidegate restore", 1, true), err)
    end
    local ok, _, err = run("trash", "--force")
    assert.is_false(ok)
    assert.truthy(err:find("usage: tidegate trash", 1, true), err)
  end)
end)
