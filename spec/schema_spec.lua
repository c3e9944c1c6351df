-- SPDX-License-Identifier: Apache-2.0
local schema = require "tidegate.schema"

local LIST = {}

local function list(t) return setmetatable(t, LIST) end
local function is_list(t) return getmetatable(t) == LIST end

describe("a schema of JSON", function()
  local PERSON = { object = { name = "string", ["age?"] = "integer",
    ["tags?"] = { array = "string" } } }

  it("accepts what fits", function()
    for _, case in ipairs {
      { "x", "string" }, { 1.5, "number" }, { 2, "integer" }, { true, "boolean" },
      { {}, "any" }, { list {}, { array = "string" } }, { list { "a" }, { array = "string" } },
      { { name = "a" }, PERSON }, { { name = "a", age = 3, tags = list { "x" } }, PERSON },
      { { other = 1 }, { object = {}, open = true } }, { {}, { object = {} } },
    } do
      schema.verify(case[2])
      assert.is_nil(schema.fault(case[1], case[2], is_list))
    end
  end)

  it("points at the first value that does not", function()
    for _, case in ipairs {
      { 1, "string", "" }, { 1.5, "integer", "" }, { {}, { array = "any" }, "" },
      { list {}, { object = {} }, "" }, { "x", PERSON, "" },
      { {}, PERSON, "/name" }, { { name = 1 }, PERSON, "/name" },
      { { name = "a", age = "b" }, PERSON, "/age" },
      { { name = "a", tags = list { "x", 2 } }, PERSON, "/tags/1" },
      { { name = "a", ["o/t~h"] = 1 }, PERSON, "/o~1t~0h" },
    } do
      assert.equal(case[3], schema.fault(case[1], case[2], is_list))
    end
  end)

  it("must be a schema itself", function()
    for _, wrong in ipairs { "text", 1, {}, { array = "text" }, { object = { a = 1 } } } do
      assert.is_false(pcall(schema.verify, wrong))
    end
  end)
end)
