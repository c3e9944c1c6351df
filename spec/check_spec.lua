-- SPDX-License-Identifier: Apache-2.0
local checks = require "tidegate.check"

local SCHEMA = {
  root = { "string", needed = true },
  durability = { "string", default = "sync", one_of = { "sync", "async" } },
  reserve = { "size", default = 5 },
  idle = "duration",
  count = { "integer", min = 1, max = 64 },
  limits = { fields = { head = { "duration", default = 10 }, buffers = "size" } },
}

local function open(options)
  local read = checks.check(options, SCHEMA, "gate.thing")
  return read
end

describe("the check of options", function()
  it("fills in defaults and reads units", function()
    assert.same({ root = "/", durability = "sync", reserve = 5, limits = { head = 10 } },
      open { root = "/" })
    assert.same({ root = "/", durability = "async", reserve = 2048, idle = 0.2, count = 3,
      limits = { head = 60, buffers = 1 } },
      open { root = "/", durability = "async", reserve = "2k", idle = "200ms", count = 3,
        limits = { head = "1m", buffers = 1 } })
  end)

  it("names what is wrong, and where", function()
    for _, case in ipairs {
      { { rot = "/" }, "gate.thing: unknown option 'rot', did you mean 'root'?" },
      { { root = "/", durabilty = 1 }, "did you mean 'durability'?" },
      { { root = "/", zzzzzzzz = 1 }, "unknown option 'zzzzzzzz'" },
      { { root = "/", "x" }, "unknown option '1'" },
      { {}, "gate.thing: 'root' is needed" },
      { { root = 1 }, "'root' must be a string" },
      { { root = "/", durability = "maybe" }, '\'durability\' must be "sync" or "async"' },
      { { root = "/", reserve = "much" }, "'reserve' must be a size such as \"64m\"" },
      { { root = "/", count = 0 }, "'count' must be from 1 to 64" },
      { { root = "/", count = 1.5 }, "'count' must be an integer" },
      { { root = "/", limits = { hed = 1 } }, "unknown option 'limits.hed', did you mean 'head'?" },
      { { root = "/", limits = { head = {} } }, "'limits.head' must be a duration" },
      { { root = "/", limits = 3 }, "limits: a table of options is expected, got number" },
      { "x", "gate.thing: a table of options is expected, got string" },
    } do
      local ok, message = pcall(function() open(case[1]) end)
      assert.is_false(ok)
      assert.truthy(message:find(case[2], 1, true), message)
      assert.truthy(message:find("^[^:]*check_spec.lua:%d+: "), message)
    end
  end)

  it("points at the line of the caller, from any depth", function()
    local line = debug.getinfo(1, "l").currentline
    local _, shallow = pcall(function() open { rot = 1 } end)
    local _, deep = pcall(function() open { root = "/", limits = { hed = 1 } } end)
    assert.truthy(shallow:find((":%d: "):format(line + 1), 1, true), shallow)
    assert.truthy(deep:find((":%d: "):format(line + 2), 1, true), deep)
  end)

  it("finds the nearest name, and none when all are far", function()
    local names = { listen = 1, workers = 1, log = 1 }
    assert.equal("listen", checks.nearest("listne", names))
    assert.equal("workers", checks.nearest("worker", names))
    assert.is_nil(checks.nearest("durability", names))
  end)
end)
