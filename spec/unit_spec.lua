-- SPDX-License-Identifier: Apache-2.0
-- The C unit cases of spec/unit, each in a process of its own with a time limit.

local tool = require "spec.tool"

local UNIT = os.getenv "UNIT_BIN" or "build/unit"
local LIMIT_S = 60

-- what the command wrote to both outputs, and its exit status (124: it was out of time)
local function run(command)
  local p = assert(io.popen(command .. " 2>&1; echo \"exit $?\""))
  local out, status = p:read("*a"):match("^(.*)exit (%d+)\n$")
  p:close()
  return out, tonumber(status)
end

describe("unit", function()
  local names, status = run(tool.quote(UNIT) .. " --list")
  it("lists its cases", function()
    assert.are.equal(0, status, names)
  end)
  if status ~= 0 then return end

  local command = ("timeout -k 5 %d %s --run "):format(LIMIT_S, tool.quote(UNIT))
  for name in names:gmatch("[^\n]+") do
    if tool.watchdog_works or not name:find "^lua watchdog: " then
      it(name, function()
        local out, rc = run(command .. tool.quote(name))
        assert(rc == 0, ("exit status %d\n%s"):format(rc or -1, out or ""))
      end)
    end
  end
end)
