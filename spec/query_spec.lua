-- SPDX-License-Identifier: Apache-2.0
local decode = require("tidegate.router").decode
local query = require "tidegate.query"

describe("the query", function()
  it("gives the first value of each name, and all of them", function()
    for _, case in ipairs {
      { "", {}, {} },
      { "a=1", { a = "1" }, { a = { "1" } } },
      { "a=1&b=2&a=3", { a = "1", b = "2" }, { a = { "1", "3" }, b = { "2" } } },
      { "a&b=", { a = "", b = "" }, { a = { "" }, b = { "" } } },
      { "a=b=c&&", { a = "b=c" }, { a = { "b=c" } } },
      { "%61+b=%20+%2B", { ["a b"] = "  +" }, { ["a b"] = { "  +" } } },
      { "digest=sha256%3Aab", { digest = "sha256:ab" }, { digest = { "sha256:ab" } } },
    } do
      local first, lists = query.parse(case[1], decode)
      assert.same(case[2], first, case[1])
      assert.same(case[3], lists, case[1])
    end
  end)

  it("refuses malformed escapes", function()
    for _, text in ipairs { "a=%", "a=%4", "a=%zz", "%=1", "a=%4g" } do
      assert.is_nil(query.parse(text, decode))
    end
  end)

  it("reads a type without its parameters", function()
    assert.equal("application/json", query.type "Application/JSON; charset=utf-8")
    assert.equal("text/plain", query.type " text/plain ")
    assert.is_nil(query.type "")
  end)
end)
