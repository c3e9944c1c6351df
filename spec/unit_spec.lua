-- SPDX-License-Identifier: Apache-2.0
-- The C unit cases of spec/unit, each in a process of its own with a time limit.

local UNIT = os.getenv "UNIT_BIN" or "build/unit"
local LIMIT_S = 60

local function quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

-- what the command wrote to both outputs, and its exit status (124: it was out of time)
local function run(command)
  local p = assert(io.popen(command .. " 2>&1; echo \"exit $?\""))
  local out, status = p:read("*a"):match("^(.*)exit (%d+)\n$")
  p:close()
  return out, tonumber(status)
end

describe("unit", function()
  local names, status = run(quote(UNIT) .. " --list")
  it("lists its cases", function()
    assert.are.equal(0, status, names)
  end)
  if status ~= 0 then return end

  for name in names:gmatch("[^\n]+") do
    it(name, function()
      local out, rc = run(("timeout -k 5 %d %s --run %s"):format(LIMIT_S, quote(UNIT), quote(name)))
      assert(rc == 0, ("exit status %d\n%s"):format(rc or -1, out or ""))
    end)
  end
end)
