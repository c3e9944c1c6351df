-- SPDX-License-Identifier: Apache-2.0
--
-- What outlives a VM, and what changes under it: shared dictionaries and files.
local gateway = require "spec.gateway"
local signal = require "posix.signal"
local socket = require "socket"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"

describe("gate.shared", function()
  it("is one for all workers, and for the script after a reload", function()
    local g = gateway.start { script = [[
      local gate = require "tidegate"
      gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 3 }
      local hits = gate.shared "hits"
      local mine = 0
      local app = gate.app {}
      app:get("/", function()
        mine = mine + 1
        return gate.reply(200, { all = hits:incr "n", mine = mine })
      end)
      gate.serve { app }]] }
    local open, most = {}, 0
    for i = 1, 6 do
      open[i] = g:raw() -- each worker gets some
      local reply = open[i]:request("GET", "/").body
      assert.equal(i, tonumber(reply:match '"all":(%d+)'))
      most = math.max(most, tonumber(reply:match '"mine":(%d+)'))
    end
    assert.is_true(most < 6)
    signal.kill(g.pid, signal.SIGHUP)
    assert.truthy(g:logged "msg=reloaded")
    assert.equal('{"all":7,"mine":1}', g:request("GET", "/").body)
    for _, c in ipairs(open) do c:close() end
    g:stop()
  end)
end)

describe("gate.file", function()
  local SCRIPT = [[
    local gate = require "tidegate"
    gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 2 }
    local teams, motd = gate.file "teams.json", gate.file("motd", { text = true })
    local app = gate.app {}
    app:get("/teams", function() return gate.reply(200, teams.value) end)
    app:get("/motd", function() return gate.reply(200, motd.value) end)
    gate.serve { app }]]

  it("gives what the file holds now, or held when it was good", function()
    local folder = tool.tmpdir()
    local teams = folder .. "/teams.json"
    tool.write(folder .. "/gate.lua", SCRIPT)
    tool.write(teams, '{"a":1}')
    tool.write(folder .. "/motd", "hello")
    local g = gateway.start { path = folder .. "/gate.lua" }
    local function becomes(path, wanted)
      local c = { g:raw(), g:raw() } -- one on each worker
      for _ = 1, 1500 do
        local one, two = c[1]:request("GET", path).body, c[2]:request("GET", path).body
        if one == wanted and two == wanted then
          c[1]:close()
          c[2]:close()
          return
        end
        socket.sleep(0.005)
      end
      error(g:request("GET", path).body, 2)
    end
    becomes("/teams", '{"a":1}')
    becomes("/motd", "hello")
    tool.write(teams, '{"a":2}') -- in place, of the same size
    becomes("/teams", '{"a":2}')
    tool.write(teams, '{"a":')
    local fault = "cannot be used[^\n]*file=teams.json[^\n]*not valid at byte 5"
    assert.truthy(g:logged(fault .. ".*" .. fault)) -- by both workers
    tool.write(folder .. "/new", "[3]")
    assert(os.rename(folder .. "/new", teams)) -- by another file
    os.remove(folder .. "/motd")
    becomes("/teams", "[3]")
    local absent = "cannot be used[^\n]*file=motd[^\n]*No such file"
    assert.truthy(g:logged(absent .. ".*" .. absent))
    becomes("/motd", "hello")
    tool.write(folder .. "/motd", "welcome")
    becomes("/motd", "welcome")
    assert.falsy(g:log():find(fault .. ".*" .. fault .. ".*" .. fault)) -- and once by each
    assert.falsy(g:log():find(absent .. ".*" .. absent .. ".*" .. absent))
    g:stop()
    tool.remove(folder)
  end)

  it("gives what a function of the script reads in it", function()
    local folder = tool.tmpdir()
    tool.write(folder .. "/n", "1")
    tool.write(folder .. "/gate.lua", [[
      local gate = require "tidegate"
      gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 1 }
      local n = gate.file("n", { read = function(text)
        while text == "for ever" do end
        return tonumber(text) or error("n:1: no number", 0)
      end })
      gate.serve { gate.app {}:get("/", function() return gate.reply(200, { n = n.value }) end) }]])
    local g = gateway.start { path = folder .. "/gate.lua" }
    local function after(text, line)
      tool.write(folder .. "/n", text)
      assert.truthy(g:logged(line), text)
      return g:request("GET", "/").body
    end
    assert.equal('{"n":2}', after("2", "file read again"))
    assert.equal('{"n":2}', after("many", "cannot be used[^\n]*n:1: no number"))
    if tool.watchdog_works then
      assert.equal('{"n":2}', after("for ever", "cannot be used[^\n]*longer than 200ms"))
    end
    assert.equal('{"n":3}', after("3", "file read again.*file read again"))
    g:stop()
    tool.write(folder .. "/n", "many")
    local ok, out = tool.run(PROGRAM .. " check " .. folder .. "/gate.lua")
    assert.is_false(ok)
    assert.equal("tidegate: n:1: no number\n", out)
    tool.remove(folder)
  end)

  for text, message in pairs {
    ['gate.file "absent.json"'] = "gate.file: absent.json: No such file or directory",
    ['gate.file "gateway.lua"'] = "gate.file: gateway.lua: the JSON text is not valid at byte",
    ['gate.file "."'] = "gate.file: .: Is a directory",
    ['gate.file("gateway.lua", { test = true })'] = "did you mean 'text'?",
    ['gate.file("gateway.lua", { read = 7 })'] = "'read' must be a function",
    ['gate.file(7)'] = "the name of a file is expected",
  } do
    it("refuses: " .. text, function()
      gateway.refuses(text, message)
    end)
  end
end)
