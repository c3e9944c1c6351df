-- SPDX-License-Identifier: Apache-2.0
--
-- Uploads that nobody goes on with end after a while, and no other one does.
local gateway = require "spec.gateway"
local lfs = require "lfs"
local peer = require "spec.peer"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"
local BYTES = ("x"):rep(1000)
local DIGEST = tool.digest(BYTES .. BYTES)

local SCRIPT = [[
  local gate = require "tidegate"
  local registry = require "apps.registry"
  gate.config { listen = gate.env("TIDEGATE_LISTEN"), workers = 2 }
  gate.serve { gate.metrics "/metrics",
    registry { store = gate.store.fs { root = gate.env("TIDEGATE_DATA") }, %s } }
]]

describe("an idle upload", function()
  local folder = tool.tmpdir()
  local g, never, other -- one that ends uploads, one that does not, docker-registry
  local place, open = {}, nil

  local function start(options)
    return gateway.start { script = SCRIPT:format(options), data = folder }
  end

  -- A session that has some bytes already, in a repository of its own.
  local function begin(repo, body, server)
    place[repo] = pusher.place((server or never):request("POST",
      ("/v2/%s/blobs/uploads/"):format(repo)))
    if not body then return end
    local reply = never:request("PATCH", place[repo], { body = body })
    assert.equal(202, reply.status, reply.body)
    place[repo] = pusher.place(reply)
  end

  local function id_of(repo) return place[repo]:match "uploads/([%x-]+)" end

  local function path_of(repo)
    return ("%s/docker/registry/v2/repositories/%s/_uploads/%s"):format(folder, repo, id_of(repo))
  end

  -- Its files were written so long ago; or those of that name.
  local function age(repo, name)
    tool.must(("find %s -type f %s -exec touch -d '25 hours ago' {} +"):format(path_of(repo),
      name and "-name " .. name or ""))
  end

  local function is_there(repo) return lfs.attributes(path_of(repo)) ~= nil end

  -- A body that has come in part when the job goes by, behind a session that is old.
  local function hold_open()
    begin("taken", BYTES)
    age "taken"
    open = never:raw()
    open:send(("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(
      place.taken, #BYTES, BYTES:sub(1, 10)))
    assert.is_true(never:settles(function()
      return lfs.attributes(path_of "taken" .. "/data", "size") == 1010
    end))
    age("taken", "data")
  end

  setup(function()
    never = start [[ uploads_expire = "never" ]]
    for _, repo in ipairs { "old", "torn", "late", "fresh", "kept" } do begin(repo, BYTES) end
    begin "old/empty"
    tool.must(("rm %s/startedat"):format(path_of "torn"))
    for _, repo in ipairs { "old", "old/empty", "torn", "kept" } do age(repo) end
    age("late", "startedat")
    age("fresh", "data")
    place.kept = pusher.place(never:request("PATCH", place.kept, { body = BYTES }))
    age("kept", "data")
    if tool.has "docker-registry" then
      other = peer.start(folder)
      begin("other", nil, other)
      age "other"
    end
    hold_open()
    begin("zz", BYTES) -- the job comes here last
    age "zz"
    g = start [[ uploads_expire = "2m" ]]
    assert.is_true(g:settles(function() return not is_there "zz" end), "the job runs")
  end)

  teardown(function()
    if open then open:close() end
    for _, server in pairs { g, never, other } do server:stop() end
    tool.remove(folder)
  end)

  it("goes after its last byte, is said to, and is not there any more", function()
    for _, repo in ipairs { "old", "old/empty", "torn" } do
      assert.is_false(is_there(repo))
      for _, method in ipairs { "GET", "PATCH", "PUT", "DELETE" } do
        local reply = g:request(method, pusher.closing(place[repo], DIGEST),
          { body = method ~= "GET" and BYTES or nil })
        assert.equal(404, reply.status, method)
        assert.equal("BLOB_UPLOAD_UNKNOWN", (pusher.code(reply)))
      end
    end
    local line = g:logged("upload expired[^\n]*" .. id_of "old":gsub("%-", "%%-") .. "[^\n]*")
    assert.truthy(line)
    assert.truthy(g:log():find "upload expired[^\n]*size=1000")
    assert.truthy(g:request("GET", "/metrics").body
      :find 'registry_uploads_total{result="expired"} [45]\n')
  end)

  it("stays while any part of it is younger", function()
    for _, repo in ipairs { "late", "fresh" } do
      local reply = g:request("PUT", pusher.closing(place[repo], DIGEST), { body = BYTES })
      assert.equal(201, reply.status, repo)
    end
  end)

  it("stays while a body comes", function()
    open:send(BYTES:sub(11))
    assert.equal(202, open:read_reply().status)
    assert.equal(201, g:request("PUT", pusher.closing(place.taken, DIGEST)).status)
  end)

  it("is kept by whoever has gone on with it, through a gateway that never ends any", function()
    assert.equal(201, never:request("PUT", pusher.closing(place.kept, DIGEST)).status)
  end)

  it("of docker-registry ends, too", function()
    if not other then pending "docker-registry is not installed" end
    assert.is_false(is_there "other")
    assert.equal(404, other:request("PATCH", place.other, { body = BYTES }).status)
  end)

  it("cannot be told to end at once, or where it cannot end", function()
    local cases = {
      { [["soon"]], '\'uploads_expire\' must be "never", or a duration of at least "2m"' },
      { [["30s"]], '\'uploads_expire\' must be "never", or a duration of at least "2m"' },
      { [[false]], '\'uploads_expire\' must be "never", or a duration of at least "2m"' },
      { [["24h", layout = (function()
        local layout = {}
        for name, value in pairs(require "layouts.distribution") do layout[name] = value end
        layout.upload_sessions = nil
        return layout
      end)()]], "'uploads_expire' needs a layout that says by 'upload_sessions' where" },
    }
    for _, case in ipairs(cases) do
      tool.write(folder .. "/gate.lua", SCRIPT:format("uploads_expire = " .. case[1]))
      local ok, out = tool.run(("TIDEGATE_LISTEN=127.0.0.1:0 TIDEGATE_DATA=%s/data %s check "
        .. "%s/gate.lua"):format(folder, PROGRAM, folder))
      assert.is_false(ok)
      assert.truthy(out:find(case[2], 1, true), out)
    end
    start [[ layout = require "layouts.zuul" ]]:stop()
  end)
end)
