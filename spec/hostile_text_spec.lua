-- SPDX-License-Identifier: Apache-2.0
--
-- Text from clients that wants to be more than text: a second header, a second line of the log, a
-- path out of the store, a command to the terminal of who reads it.
local gateway = require "spec.gateway"
local json = require "dkjson"
local lfs = require "lfs"
local socket = require "socket"
local tool = require "spec.tool"

local SCRIPT = [[
  local gate = require "tidegate"
  gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 1, log = { format = "%s" },
    limits = { head = "500ms", stall = "500ms" } }
  local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA", durability = "async" }
  local app = gate.app {}
  local function text(q) return q.query.t or "" end
  app:get("/log", function(q)
    gate.log.info("said", { text = text(q), [text(q)] = "a name", agent = q.headers["user-agent"] })
    gate.log.warn(text(q))
    return gate.reply(200)
  end)
  app:get("/mistake", function(q) error(text(q)) end)
  app:get("/fail", function(q) gate.fail(400, "TEXT", text(q), { detail = text(q) }) end)
  app:get("/code", function(q) gate.fail(400, text(q), "a code") end)
  app:get("/header", function(q) return gate.reply(200, "ok", { ["X-Text"] = text(q) }) end)
  app:get("/name", function(q) return gate.reply(200, "ok", { [text(q)] = "x" }) end)
  app:get("/redirect", function(q) return gate.reply(302, nil, { Location = text(q) }) end)
  app:put("/o/{key...}", function(q)
    q.body:into(disk:create(q.params.key))
    return gate.reply(201)
  end)
  app:put("/typed", function(q)
    disk:put("typed", "x", { type = text(q) })
    return gate.reply(201)
  end)
  app:get("/at", function(q) return gate.reply(200, disk:at(text(q)):stat "x") end)
  app:get("/list", function(q) return gate.reply(200, disk:list(text(q))) end)
  app:get("/path/{x...}", function(q) return gate.reply(200, q.params.x) end)
  app:put("/wait/{x}", function(q)
    q.user = { name = text(q) }
    q.body:into(nil)
    return gate.reply(201)
  end)
  gate.serve { app }
]]

-- what it is, its bytes
local TEXTS = {
  { "a second line", "a\r\ntime=now level=error msg=forged" },
  { "a line feed", "a\nforged" },
  { "a carriage return", "a\rforged" },
  { "a NUL", "a\0b" },
  { "a command to a terminal", "\27[2J\27]0;title\7" },
  { "a C1 control", "\194\155" .. "31m" },
  { "a backspace and a delete", "secret\8\8\8\127" },
  { "right-to-left override", "\226\128\174gnp.exe" },
  { "a line separator", "a\226\128\168b" },
  { "what is no UTF-8", "\255\254\192\128" },
  { "quotes and backslashes", [["},{"level":"error","msg":"forged\]] },
  { "a field", 'x" level=error msg="forged' },
  { "a very long text", ("\27\n"):rep(300) },
  { "a format", "%s%n%x%1000000d" },
  { "a tag", "<script>alert(1)</script>" },
}

local function encode(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02x"):format(c:byte()) end))
end

-- What would change how the text around it looks: controls, ends of lines, reordering.
local TRICKY = { "[%z\1-\9\11-\31\127]", "\194[\128-\159]", "\226\128[\142\143\168-\174]",
  "\226\129[\166-\169]" }

-- Every line is one that the gateway meant to write, and shows what it holds.
local function check_log(g, format)
  for line in g:log():gmatch "[^\n]*\n" do
    for _, pattern in ipairs(TRICKY) do assert.is_nil(line:find(pattern), line) end
    local ours = line:find "^tidegate: listening"
    if format == "json" and not ours then
      local entry, _, why = json.decode(line, 1, nil)
      assert(entry and entry.time and entry.level and entry.msg, why or line)
      assert(entry.msg ~= "forged" and entry.level ~= "forged", line)
    elseif not ours then
      assert.truthy(line:find "^time=%d%d%d%d%-%d%d%-%d%dT%S+Z level=%l+ msg=", line)
      assert.is_nil(line:find "^time=now", line)
    end
  end
end

-- Waits until that many requests run.
local function running(g, n)
  local deadline = socket.gettime() + 10
  repeat
    if #g:tell("tasks").tasks == n then return end
  until socket.gettime() > deadline
  error("not " .. n .. " requests", 2)
end

for _, format in ipairs { "text", "json" } do
  describe("text of clients, with a log in " .. format .. ",", function()
    local g

    setup(function() g = gateway.start { script = SCRIPT:format(format) } end)
    teardown(function() g:stop() end)

    for _, case in ipairs(TEXTS) do
      local text = encode(case[2])
      it("stays text: " .. case[1], function()
        for _, path in ipairs { "/log", "/mistake", "/fail", "/code", "/at", "/list" } do
          local reply = g:request("GET", path .. "?t=" .. text,
            { headers = { ["User-Agent"] = (case[2]:gsub("[%z\1-\31\127]", "")) } })
          if reply.status ~= 200 then
            assert(json.decode(reply.body, 1, nil), reply.body)
          end
          if path == "/fail" and #case[2] < 1000 and not case[2]:find "[\128-\255]" then
            assert.equal(case[2], json.decode(reply.body).errors[1].message)
          end
        end
        for _, path in ipairs { "/header", "/name", "/redirect" } do
          local reply = g:request("GET", path .. "?t=" .. text)
          assert(reply.status == 200 or reply.status == 302 or reply.status == 500)
          for name, value in pairs(reply.headers) do
            assert.is_nil((name .. value):find "[%z\1-\8\10-\31\127]")
          end
          assert.is_nil(reply.header "level")
        end
        g:request("GET", "/" .. text)
        g:request("PUT", "/typed?t=" .. text)
        local before = g:files()
        local reply = g:request("PUT", "/o/" .. text, { body = "x" })
        local bad = case[2]:find "[%z\1-\31\127]" or #case[2] > 255
        if bad then
          assert.equal(400, reply.status)
          assert.same(before, g:files())
        end
        check_log(g, format)
      end)

      it("is printable in tasks: " .. case[1], function()
        local c, short = g:raw(), encode(case[2]:sub(1, 100))
        c:send(("PUT /wait/%s?t=%s HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
          :format(short, short))
        running(g, 1)
        local _, out = g:command "tasks"
        assert.is_nil(out:find "[^\32-\126\n\t]", out)
        assert.is_nil(out:find "\nforged", out)
        c:close()
        running(g, 0)
      end)
    end

    it("is refused where a head may not have it", function()
      for _, bytes in ipairs { "\27", "\0", "\127", "\8", "\r", "\n", "\11" } do
        for _, head in ipairs {
          "GET /path/a%sb HTTP/1.1\r\nHost: h\r\n\r\n",
          "GET /path/a HTTP/1.1\r\nHost: h\r\nX: a%sb\r\n\r\n",
          "GET /path/a HTTP/1.1\r\nHost: a%sb\r\n\r\n",
          "GE%sT /path/a HTTP/1.1\r\nHost: h\r\n\r\n",
        } do
          local c = g:raw()
          c:send((head:gsub("%%s", bytes)))
          local reply = c:read_reply("GET")
          assert(reply.status >= 400 and reply.status < 500 or reply.status == 501, head)
          c:close()
        end
      end
      check_log(g, format)
    end)
  end)
end

describe("paths that lead out of a store", function()
  it("lead nowhere", function()
    local data = tool.tmpdir()
    local outside = data .. "/outside"
    lfs.mkdir(data .. "/data")
    local g = gateway.start { script = SCRIPT:format "text", data = data .. "/data" }
    for _, key in ipairs {
      "../outside", "..%2foutside", "%2e%2e/outside", "%2e%2e%2foutside", "a/../../outside",
      "a/%2e%2e/%2e%2e/outside", "..%5coutside", "..%00/outside", "%252e%252e/outside", "./outside",
      "a//outside", "%2foutside", "%2f" .. outside:sub(2):gsub("/", "%%2f"), "..;/outside",
      "%c0%ae%c0%ae/outside", "%uff0e%uff0e/outside", ".tidegate/tmp/x", ".tidegate%2fcontrol.sock",
    } do
      local reply = g:request("PUT", "/o/" .. key, { body = "x" })
      assert(reply.status == 400 or reply.status == 404 or reply.status == 201, reply.status)
      for name in lfs.dir(data) do
        assert(name == "." or name == ".." or name == "data", name)
      end
    end
    assert.equal("socket", lfs.attributes(g.data .. "/.tidegate/control.sock", "mode"))
    g:stop()
    tool.remove(data)
  end)
end)
