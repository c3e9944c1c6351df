-- SPDX-License-Identifier: Apache-2.0
local err = require "tidegate.error"

describe("typed errors", function()
  it("know their status", function()
    for name, status in pairs { NOT_FOUND = 404, EXISTS = 409, RANGE = 416, NO_SPACE = 507,
      BUSY = 503, TOO_LARGE = 413, STALLED = 408 } do
      local ok, e = pcall(err.raise, name)
      assert.is_false(ok)
      assert.is_true(err.is(e))
      assert.equal(name, e.name)
      assert.equal(status, e.status)
    end
  end)

  it("pass results of bindings and raise their failures", function()
    assert.same({ 1, 2 }, { err.check(true, 1, 2) })
    local _, e = pcall(err.check, false, "RANGE", "no", nil, { size = 7 })
    assert.equal("RANGE", e.name)
    assert.equal(7, e.size)
    assert.equal("RANGE: no", tostring(e))
  end)

  it("carry what gate.fail says", function()
    local _, e = pcall(err.fail, 404, "BLOB_UNKNOWN", "no such blob", { digest = "x" })
    assert.same({ 404, "BLOB_UNKNOWN", "no such blob", "x" },
      { e.status, e.code, e.message, e.detail.digest })
    assert.is_false(err.is(select(2, pcall(err.fail, 200, "X"))))
    assert.is_false(err.is(select(2, pcall(err.fail, 404))))
  end)

  it("are caught by try; mistakes and cancellation are not", function()
    assert.same({ 1, nil, 3 }, { err.try(function(...) return ... end, 1, nil, 3) })
    local value, e = err.try(err.raise, "EXISTS")
    assert.is_nil(value)
    assert.equal("EXISTS", e.name)
    assert.is_false(pcall(err.try, err.raise, "CANCELLED"))
    local ok, message = pcall(err.try, error, "mistake", 0)
    assert.is_false(ok)
    assert.equal("mistake", message)
  end)
end)
