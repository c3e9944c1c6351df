-- SPDX-License-Identifier: Apache-2.0
--
-- What `listen` takes, and what a reload does to listeners that are tables.
local gateway = require "spec.gateway"
local tool = require "spec.tool"
local unix = require "socket.unix"

local PROGRAM = os.getenv("TIDEGATE_BIN") or "build/tidegate"

local function script(listen)
  return ([[
    local gate = require "tidegate"
    gate.config { listen = %s, workers = 1 }
    gate.serve { gate.health "/ok" }
  ]]):format(listen)
end

describe("listen", function()
  local folder

  setup(function() folder = tool.tmpdir() end)
  teardown(function() tool.remove(folder) end)

  local function check(listen)
    local path = folder .. "/listen.lua"
    tool.write(path, script(listen))
    return tool.run(("%s check %s"):format(PROGRAM, path))
  end

  it("takes addresses, tables about listeners, and lists of both", function()
    for listen, lines in pairs {
      ['":7"'] = "listen  :7\n",
      ['{ address = ":7" }'] = "listen  :7\n",
      ['{ ":7", "unix:/x" }'] = "listen  :7\nlisten  unix:/x\n",
      ['{ { address = ":7" }, ":8" }'] = "listen  :7\nlisten  :8\n",
      ["nil"] = "listen  127.0.0.1:5000\n",
    } do
      local ok, out = check(listen)
      assert(ok, out)
      assert.equal(lines, out:sub(1, #lines))
    end
  end)

  it("says what is wrong, and where", function()
    for listen, message in pairs {
      ["5"] = "listen: an address or a table about a listener is expected, got number",
      ["{}"] = "'listen' must be an address, a table about a listener, or a list of them",
      ['{ ":7", 5 }'] = "listen[2]: an address or a table about a listener is expected, got number",
      ['{ addres = ":7" }'] = "listen: unknown option 'addres', did you mean 'address'?",
      ['{ ":7", {} }'] = "listen[2]: 'address' is needed",
      ['{ ":7", { address = 5 } }'] = "listen[2]: 'address' must be a string, it is a number",
    } do
      local ok, out = check(listen)
      assert.is_false(ok)
      assert.equal(("tidegate: %s/listen.lua:2: gate.config: %s\n"):format(folder, message),
        (out:gsub("config: gate.config: ", "config: ")))
    end
  end)

  it("is opened, kept and closed by a reload", function()
    local g = gateway.start { script = script '{ gate.env("TIDEGATE_LISTEN") }', data = folder }
    local path = g.folder .. "/second"
    local function second()
      local c = unix()
      local ok = c:connect(path)
      c:close()
      return ok ~= nil
    end
    g:rewrite(script(('{ { address = gate.env("TIDEGATE_LISTEN") }, { address = "unix:%s" } }')
      :format(path)))
    local held = g:raw()
    assert(g:command("reload"))
    assert.is_true(second())
    assert.same({ "http://" .. g.address, "unix:" .. path }, g:tell("status").listen)
    g:rewrite(script '{ address = gate.env("TIDEGATE_LISTEN") }')
    assert(g:command("reload"))
    assert.is_false(second())
    assert.same({ "http://" .. g.address }, g:tell("status").listen)
    assert.equal(200, held:request("GET", "/ok").status)
    held:close()
    assert.equal(200, g:request("GET", "/ok").status)
    g:stop()
  end)
end)
