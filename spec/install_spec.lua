-- SPDX-License-Identifier: Apache-2.0
--
-- What `make install` puts where, and that it works from there.
local gateway = require "spec.gateway"
local tool = require "spec.tool"

local BUILD = (os.getenv "TIDEGATE_BIN" or "build/tidegate"):match "^(.*)/"
local MAKE = "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s --no-print-directory BUILD=%s %s "
  .. "DESTDIR=%s prefix=/usr"
local EXPOSURE = 15 -- of 100, as systemd-analyze counts; it says 14

describe("make install", function()
  local dest

  local function make(target)
    return tool.must(MAKE:format(BUILD, target, dest))
  end

  setup(function()
    dest = tool.tmpdir()
    make "install"
  end)

  teardown(function() tool.remove(dest) end)

  local function commands()
    local names = {}
    for name in tool.must(dest .. "/usr/bin/tidegate help"):gmatch "\n  ([a-z][a-z-]*)" do
      names[#names + 1] = name
    end
    assert(#names > 5)
    return names
  end

  it("puts a program there that serves an example from there", function()
    local g = gateway.spawn {
      command = { dest .. "/usr/bin/tidegate", "serve",
        dest .. "/usr/share/tidegate/examples/registry.lua" },
      env = { TIDEGATE_LISTEN = "127.0.0.1:0", TIDEGATE_DATA = dest .. "/data" },
    }
    g.strict = true
    assert.equal(200, g:request("GET", "/v2/").status)
    g:stop()
  end)

  it("has manual pages without a fault, with every command", function()
    local pages = dest .. "/usr/share/man/"
    local text = tool.read(pages .. "man1/tidegate.1")
    for _, name in ipairs(commands()) do
      assert.truthy(text:find("tidegate " .. name:gsub("%-", "\\-"), 1, true), name)
    end
    for _, page in ipairs { "man1/tidegate.1", "man5/tidegate-script.5" } do
      assert.is_nil(tool.read(pages .. page):find "@%a+@")
      if tool.has "groff" then
        assert.equal("", tool.must("groff -man -ww -z " .. pages .. page))
      end
    end
  end)

  it("completes commands, options, scripts and users in bash", function()
    local script = ([[
      PATH=%s/usr/bin:$PATH; . %s/usr/share/bash-completion/completions/tidegate; cd examples
      t() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tidegate; echo "${COMPREPLY[*]}"; }
    ]]):format(dest, dest)
    local function completes(words)
      return (tool.must("bash -c " .. tool.quote(script .. "t " .. words)):gsub("%s+$", ""))
    end
    assert.equal(table.concat(commands(), " "), completes 'tidegate ""')
    for _, case in ipairs {
      { "tidegate relo", "reload" }, { "tidegate nothing", "" }, { "tidegate status --", "--json" },
      { "tidegate readonly o", "on off" }, { "tidegate serve --user roo", "root" },
      { "tidegate serve -", "--user" }, { "tidegate check reg", "registry.lua" },
      { "tidegate nothing --", "" },
    } do
      assert.equal(case[2], completes(case[1]), case[1])
    end
  end)

  it("has units for systemd that are in order and leave little open", function()
    local units = dest .. "/usr/lib/systemd/system/"
    local service = tool.read(units .. "tidegate.service")
    assert.truthy(service:find("ExecStart=/usr/bin/tidegate serve", 1, true))
    assert.truthy(service:find("\nMemoryDenyWriteExecute=no\n", 1, true), "LuaJIT needs it")
    if not tool.has "systemd-analyze" then pending "systemd-analyze is not installed" end
    tool.write(units .. "tidegate.service", (service:gsub("/usr/bin/", dest .. "%0")))
    local verify = "systemd-analyze verify --man=no %stidegate.service %stidegate.socket"
    assert.equal("", tool.must(verify:format(units, units)))
    local ok, out = tool.run(("systemd-analyze security --offline=true --threshold=%d --no-pager "
      .. "%stidegate.service"):format(EXPOSURE, units))
    tool.write(units .. "tidegate.service", service)
    assert(ok, out)
  end)

  it("can be undone", function()
    local copy = dest
    dest = tool.tmpdir()
    make "install"
    tool.write(dest .. "/usr/share/man/man1/other.1", "x")
    make "uninstall"
    assert.same({ "usr/share/man/man1/other.1" }, tool.files(dest))
    tool.remove(dest)
    dest = copy
  end)
end)
