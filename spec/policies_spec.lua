-- SPDX-License-Identifier: Apache-2.0
-- The policies of examples/policies: each is short, is in the table of their README, and its specs
-- pass, run as its user would run them.
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"
local FOLDER = "examples/policies/"
local LINES_MAX = 25

describe("the policy", function()
  for path in tool.must("ls " .. FOLDER .. "*.lua"):gmatch "[^\n]+" do
    local name = path:match "([^/]+)%.lua$"

    it(name .. " keeps what its specs say", function()
      local ok, out = tool.run(("%s spec %s %s"):format(PROGRAM, path, FOLDER .. name))
      assert(ok, out)
      assert.truthy(out:find "\n[1-9]%d* passed, 0 failed\n$", out)
    end)

    it(name .. " is short, and in the table", function()
      local _, lines = tool.read(path):gsub("\n", "")
      assert(lines <= LINES_MAX, ("%s has %d lines"):format(path, lines))
      assert.truthy(tool.read(FOLDER .. "README.md"):find("](" .. name .. ".lua)", 1, true))
    end)
  end
end)
