-- SPDX-License-Identifier: Apache-2.0
-- The access log: one line a request, whatever the client sends; and the files of logs, which are
-- moved away, are full, or whose reader sleeps.
local gateway = require "spec.gateway"
local json = require "dkjson"
local lfs = require "lfs"
local signal = require "posix.signal"
local socket = require "socket"
local tool = require "spec.tool"

local g, data
after_each(function()
  if g then g:stop() end
  if data then tool.remove(data) end
  g, data = nil, nil
end)

local SCRIPT = [[
local gate = require "tidegate"
local registry = require "apps.registry"
gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 2, log = { %s } }
local app = gate.app { prefix = "/x" }
app:put("/note", function(q)
  q:note { flavour = q.headers["x-flavour"], path = "not this one", count = 3, good = true }
  q.user = { name = q.headers["x-user"] }
  return gate.reply(200, q.body:text("1m"))
end)
app:get("/sleep", function() gate.sleep "30s" end)
app:get("/break", function() local x = nil; return x.y end)
app:get("/wrong", function(q) q:note { ["Not OK"] = 1 } end)
local disk = gate.store.mem { name = "access" }
gate.serve { app, registry { store = disk } }
]]

local function start(log)
  if data then tool.remove(data) end
  data = tool.tmpdir()
  g = gateway.start { script = SCRIPT:format(log), data = data }
  return g
end

local function lines(path)
  local list = {}
  for line in (tool.read(path) or ""):gmatch "([^\n]*)\n" do list[#list + 1] = line end
  return list
end

-- Waits for n lines of the access log; returns them, decoded.
local function records(n)
  local path = g.data .. "/.tidegate/access.log"
  local deadline = socket.gettime() + 20
  while #lines(path) < n and socket.gettime() < deadline do socket.sleep(0.005) end
  local list = lines(path)
  assert.equal(n, #list, table.concat(list, "\n"))
  for i, line in ipairs(list) do list[i] = assert(json.decode(line), line) end
  return list
end

describe("the access log", function()
  it("has one JSON object a request, with what was done", function()
    start('access = "access.log"')
    g:request("PUT", "/x/note?token=hunter2", { body = "12345", headers = {
      ["X-Flavour"] = "sour", ["X-User"] = "ann", ["User-Agent"] = "spec/1",
      Authorization = "Basic aHVudGVyMg==", Cookie = "hunter2" } })
    local r = records(1)[1]
    assert.equal("PUT", r.method)
    assert.equal("/x/note", r.path)
    assert.equal(200, r.status)
    assert.equal(5, r["in"])
    assert.equal(5, r.out)
    assert.equal("ann", r.user)
    assert.equal("sour", r.flavour)
    assert.equal("3", r.count)
    assert.equal("true", r.good)
    assert.equal("spec/1", r.agent)
    assert.equal(g.address, r.listener)
    assert.equal("127.0.0.1", r.address)
    assert.truthy(r.remote:find "^127.0.0.1:%d+$")
    assert.truthy(r.id:find "^%x+$" and #r.id == 16)
    assert.truthy(r.time:find "^%d%d%d%d%-%d%d%-%d%dT")
    assert.truthy(r.ms >= r.first_ms and r.first_ms > 0)
    assert.is_nil(r.error)
  end)

  it("names the repository, the digest, the upload and the code of an error", function()
    start('access = "access.log"')
    local c = g:raw()
    local id = c:request("POST", "/v2/ci/app/blobs/uploads/").header("Docker-Upload-UUID")
    local path = "/v2/ci/app/blobs/uploads/" .. id .. "?digest="
    c:request("PUT", path .. tool.digest "another", { body = "a blob" })
    c:request("GET", "/v2/ci/app/manifests/v1")
    c:request("GET", "/nowhere")
    c:request("GET", "/x/break")
    c:close()
    local r = records(5)
    assert.same({ "ci/app", id, "push" }, { r[1].repository, r[1].upload, r[1].action })
    assert.same({ id, tool.digest "another", "DIGEST_INVALID", 400 },
      { r[2].upload, r[2].digest, r[2].code, r[2].status })
    assert.same({ "v1", "MANIFEST_UNKNOWN", "pull" }, { r[3].tag, r[3].code, r[3].action })
    assert.same({ 404, "NOT_FOUND" }, { r[4].status, r[4].code })
    assert.same({ 500, "INTERNAL" }, { r[5].status, r[5].code })
  end)

  it("tells of requests that no handler sees, and of clients that leave", function()
    start('access = "access.log"')
    local c = g:raw()
    c:send "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    assert.equal(400, c:read_reply().status)
    c:close()
    records(1)
    c = g:raw()
    c:send "GET /x/sleep HTTP/1.1\r\nHost: a\r\n\r\n"
    while #g:tell("tasks").tasks == 0 do socket.sleep(0.005) end
    c:close()
    local r = records(2)
    assert.same({ 400, "HOST" }, { r[1].status, r[1].code })
    assert.is_nil(r[1].path)
    assert.same({ 499, "GONE", "/x/sleep" }, { r[2].status, r[2].error, r[2].path })
  end)

  it("cannot be forged by what a client sends", function()
    start('access = "access.log"')
    local evil = 'a"},{"status":200 \xff\xc2\x9b\xe2\x80\xae'
    local c = g:raw()
    c:request("PUT", "/x/note", { headers = { ["User-Agent"] = evil, ["X-Flavour"] = evil,
      ["X-User"] = evil }, body = "1" })
    c:request("GET", "/x/%0d%0a%22%7d")
    c:close()
    local r = records(2)
    local text = tool.read(g.data .. "/.tidegate/access.log")
    assert.is_nil(text:find "[%z\1-\9\11-\31\127\255]")
    assert.is_nil(text:find("\xe2\x80\xae", 1, true))
    assert.equal(200, r[1].status)
    for _, name in ipairs { "agent", "flavour", "user" } do
      assert.truthy(r[1][name]:find('a"},{"status":200', 1, true), name)
    end
    assert.equal("/x/%0d%0a%22%7d", r[2].path)
    assert.equal(404, r[2].status)
  end)

  it("speaks the format of other servers", function()
    start('access = "access.log", access_format = "combined"')
    g:request("PUT", "/x/note?a=secret", { body = "1", headers = { ["User-Agent"] = 'x"y',
      ["X-User"] = "a b", Referer = "http://other/?secret" } })
    local path = g.data .. "/.tidegate/access.log"
    local deadline = socket.gettime() + 20
    while #lines(path) < 1 and socket.gettime() < deadline do socket.sleep(0.005) end
    assert.truthy(lines(path)[1]:find('^127%.0%.0%.1 %- a%?b %[%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d '
      .. '%+0000%] "PUT /x/note HTTP/1%.1" 200 1 "%-" "x\\"y"$'), lines(path)[1])
  end)

  it("is part of the log by default, and can be left out", function()
    start 'format = "text"'
    g:request("GET", "/x/none")
    assert(g:logged("msg=request id=%x+ address=127.0.0.1 remote=127.0.0.1:%d+ method=GET "
      .. "path=/x/none status=404"))
    g:rewrite(SCRIPT:format "access = false")
    assert(g:command "reload")
    g:request("GET", "/x/silent")
    g:request("GET", "/x/break")
    assert(g:logged "script error")
    assert.is_nil(g:log():find("silent", 1, true))
  end)

  it("refuses options that it cannot follow", function()
    for log, message in pairs {
      ["access = true"] = "'log.access' must be",
      ['access = ""'] = "'log.access' must be a path",
      ['access_format = "json"'] = "goes with a path",
      ['access = "a", access_format = "xml"'] = 'must be "json" or "combined"',
      ["file = 7"] = "'log.file' must be a string",
    } do
      local ok, why = pcall(start, log)
      assert.falsy(ok)
      assert.truthy(why:find(message, 1, true), why)
    end
    local ok, why = pcall(start, 'file = "/proc/no/such/log"')
    assert.falsy(ok)
    assert.truthy(why:find("cannot open the log /proc/no/such/log", 1, true), why)
  end)
end)

describe("a line of the log", function()
  it("carries the id of the upload that it is about", function()
    start 'level = "debug", access = false'
    local id = g:request("POST", "/v2/ci/app/blobs/uploads/").header("Docker-Upload-UUID")
    local path = "/v2/ci/app/blobs/uploads/" .. id
    local c = g:raw()
    c:send("PATCH " .. path .. " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    c:read_reply()
    c:close()
    g:request("PATCH", path, { body = "abc", headers = { ["Content-Range"] = "7-9" } })
    g:request("DELETE", path)
    assert(g:logged "upload cancelled")
    local about = 0
    for line in g:log():gmatch "[^\n]+" do
      if line:find "upload begun" or line:find "body refused" or line:find "broke off"
        or line:find "msg=refused" or line:find "upload cancelled" then
        about = about + 1
        local _, n = line:gsub("upload=" .. id:gsub("%-", "%%-"), "")
        assert.equal(1, n, line)
      end
    end
    assert.truthy(about >= 5, g:log())
  end)
end)

describe("log files", function()
  it("are opened anew when they were moved away", function()
    start 'file = "gate.log", access = "access.log"'
    local folder = g.data .. "/.tidegate/"
    local function settles(path, text)
      local deadline = socket.gettime() + 20
      while not (tool.read(path) or ""):find(text, 1, true) do
        assert(socket.gettime() < deadline, text .. " is not in " .. path)
        socket.sleep(0.005)
      end
    end
    for i, reopen in ipairs {
      function() assert(g:command "log reopen") end,
      function() g:signal(signal.SIGUSR1) end,
    } do
      g:request("GET", "/x/break")
      settles(folder .. "gate.log", "script error")
      settles(folder .. "access.log", "/x/break")
      os.rename(folder .. "gate.log", folder .. "gate.log." .. i)
      os.rename(folder .. "access.log", folder .. "access.log." .. i)
      reopen()
      settles(folder .. "gate.log", "")
      local deadline = socket.gettime() + 20
      while not lfs.attributes(folder .. "access.log") and socket.gettime() < deadline do
        socket.sleep(0.005)
      end
      g:request("GET", "/x/break")
      settles(folder .. "gate.log", "script error")
      settles(folder .. "access.log", "/x/break")
    end
    assert.is_nil(g:log():find("script error", 1, true))
  end)

  it("are changed by a reload, which is refused when one cannot be opened", function()
    start 'file = "one.log"'
    g:rewrite(SCRIPT:format 'file = "two.log"')
    assert(g:command "reload")
    g:rewrite(SCRIPT:format 'file = "/proc/no/such/log"')
    local ok, why = g:command "reload"
    assert.falsy(ok)
    assert.truthy(why:find("cannot open the log", 1, true), why)
    g:request("GET", "/x/break")
    local deadline = socket.gettime() + 20
    while not (tool.read(g.data .. "/.tidegate/two.log") or ""):find("script error", 1, true) do
      assert(socket.gettime() < deadline)
      socket.sleep(0.005)
    end
  end)

  it("have the level that an operator sets", function()
    start 'access = "-"'
    g:request("GET", "/x/first")
    assert(g:logged "/x/first")
    assert(g:command "log level error")
    g:request("GET", "/x/second")
    assert(g:command "log level info")
    g:request("GET", "/x/third")
    assert(g:logged "/x/third")
    assert.is_nil(g:log():find("/x/second", 1, true))
    for _, wrong in ipairs { "log", "log level", "log level loud", "log reopen now" } do
      local ok, out = g:command(wrong)
      assert.falsy(ok)
      assert.truthy(out:find("usage: tidegate log", 1, true), out)
    end
  end)

  it("hold up nobody when their reader sleeps", function()
    local folder = tool.tmpdir()
    local fifo = folder .. "/fifo"
    assert(tool.run("mkfifo " .. fifo))
    -- keeps it open and reads nothing
    local reader = assert(io.popen(("sleep 60 <>%s & echo $!"):format(fifo)))
    local pid = reader:read "*n"
    start(('access = "%s"'):format(fifo))
    local c = g:raw()
    local agent = ("x"):rep(4000)
    for _ = 1, 600 do
      assert.equal(404, c:request("GET", "/x/y", { headers = { ["User-Agent"] = agent } }).status)
    end
    c:close()
    g:stop()
    g = nil
    signal.kill(pid, signal.SIGKILL)
    reader:close()
    tool.remove(folder)
  end)
end)
