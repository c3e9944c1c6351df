-- SPDX-License-Identifier: Apache-2.0
--
-- Who the gateway is after it has started as root, and where it writes. Root is needed.
local gateway = require "spec.gateway"
local pusher = require "spec.pusher"
local signal = require "posix.signal"
local stat = require "posix.sys.stat"
local tool = require "spec.tool"
local unistd = require "posix.unistd"

local USER = "nobody"
local NET_BIND_SERVICE = 0x400
local PROGRAM = os.getenv("TIDEGATE_BIN") or "build/tidegate"

local SCRIPT = [[
  local gate = require "tidegate"
  local registry = require "apps.registry"
  gate.config { listen = %s, workers = 2, %s }
  gate.serve { registry { store = gate.store.fs { root = gate.env "TIDEGATE_DATA" } } }
]]

-- Lines of /proc/PID/status: name -> value.
local function facts(g)
  local found = {}
  for name, value in tool.read(("/proc/%d/status"):format(g.pid)):gmatch("(%w+):%s*([^\n]*)") do
    found[name] = value
  end
  return found
end

describe("the user", function()
  local folder

  local function root_only()
    if unistd.geteuid() ~= 0 then pending("root is needed to become somebody else") end
  end

  before_each(function()
    folder = tool.tmpdir()
    tool.must(("mkdir %s/data && chmod 755 %s && chown %s %s/data"):format(folder, folder, USER,
      folder))
  end)

  after_each(function() tool.remove(folder) end)

  -- A gateway with a port that only root may open.
  local function start(options, config, listen)
    tool.write(folder .. "/gateway.lua",
      SCRIPT:format(listen or 'gate.env "TIDEGATE_LISTEN"', config or ""))
    options.path, options.data = folder .. "/gateway.lua", folder .. "/data"
    return gateway.start(options)
  end

  for _, way in ipairs { "the command line", "the script" } do
    it("of " .. way .. " is who serves, with nothing left of root but low ports", function()
      root_only()
      local g
      if way == "the script" then
        g = start({}, ("user = %q"):format(USER), '"127.0.0.1:1009"')
      else
        g = start({ user = USER }, nil, '"127.0.0.1:1009"')
      end
      local it_is = facts(g)
      local uid = tool.must("id -u nobody"):match("%d+")
      local gid = tool.must("id -g nobody"):match("%d+")
      assert.equal(("%s\t%s\t%s\t%s"):format(uid, uid, uid, uid), it_is.Uid)
      assert.equal(("%s\t%s\t%s\t%s"):format(gid, gid, gid, gid), it_is.Gid)
      assert.equal(gid, it_is.Groups:match("^(.-)%s*$"))
      assert.equal("1", it_is.NoNewPrivs)
      for _, set in ipairs { "CapInh", "CapAmb" } do assert.equal(0, tonumber(it_is[set], 16)) end
      for _, set in ipairs { "CapPrm", "CapEff" } do
        assert.equal(NET_BIND_SERVICE, tonumber(it_is[set], 16))
      end
      pusher.blob(g, "a", "x")
      for _, name in ipairs(g:files()) do
        assert.equal(tonumber(uid), stat.stat(g.data .. "/" .. name).st_uid, name)
      end
      tool.write(g.path, SCRIPT:format('"127.0.0.1:1010"', way == "the script"
        and ("user = %q"):format(USER) or ""))
      local ok, out = g:command("reload")
      assert.is_true(ok, out)
      assert.is_nil(out:find("restart", 1, true), out)
      g.host, g.port = "127.0.0.1", 1010
      assert.equal(200, g:request("GET", "/v2/").status, "a reload can open a low port")
      tool.write(g.path, SCRIPT:format('"127.0.0.1:1010"', 'user = "daemon"'))
      ok, out = g:command("reload")
      assert.is_true(ok, out)
      assert.equal(way == "the script", out:find("restart", 1, true) ~= nil, out)
      g:stop()
    end)
  end

  it("has to be somebody, and needs root", function()
    root_only()
    for _, case in ipairs {
      { { user = "no-such-user" }, nil, 'nobody is called "no-such-user"' },
      { {}, 'user = "no-such-user"', 'nobody is called "no-such-user"' },
      { { user = USER }, nil, "ermission denied", data = "root" },
    } do
      if case.data then
        tool.must(("chown root %s/data && chmod 700 %s/data"):format(folder, folder))
      end
      local ok, why = pcall(start, case[1], case[2])
      assert.is_false(ok)
      assert.is_truthy(why:find(case[3], 1, true), why)
    end
    local _, out = tool.run(("setpriv --reuid=1 --clear-groups %s serve --user root %s/gateway.lua")
      :format(PROGRAM, folder))
    assert.is_truthy(out:find('cannot become "root": only root can', 1, true), out)
  end)

  it("can have a root that nobody writes to, and no home", function()
    root_only()
    local own = ("mount --bind %s/data %s/data && mount -o remount,bind,ro / && mount -o "
      .. "remount,bind,rw %s/data"):format(folder, folder, folder)
    if not tool.run("unshare --mount sh -c " .. tool.quote(own)) then
      pending("no mount namespace can be made here")
    end
    tool.write(folder .. "/gateway.lua", SCRIPT:format('gate.env "TIDEGATE_LISTEN"', ""))
    local g = gateway.spawn { command = { "unshare", "--mount", "sh", "-c", own
      .. (" && ! touch /touched 2>&1 && exec env -i TIDEGATE_LISTEN=127.0.0.1:0 "
      .. "TIDEGATE_DATA=%s/data %s serve --user %s %s/gateway.lua"):format(folder,
        PROGRAM, USER, folder) } }
    pusher.put_manifest(g, "a/b", "v1", pusher.image_text(g, "a/b"))
    assert.equal(200, g:request("GET", "/v2/a/b/manifests/v1").status)
    assert.is_truthy(tool.run(("env TIDEGATE_DATA=%s/data %s status"):format(folder, PROGRAM)))
    g:signal(signal.SIGTERM)
    assert(g:wait())
    assert.equal(0, g.end_.code, g:log())
    assert.is_nil(g:log():find("no control socket", 1, true), g:log())
    g:stop()
  end)
end)
