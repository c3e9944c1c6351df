-- SPDX-License-Identifier: Apache-2.0
local units = require "tidegate.units"

describe("units", function()
  it("reads sizes", function()
    for _, case in ipairs {
      { 0, 0 }, { 4096, 4096 }, { "512", 512 }, { "512b", 512 }, { "512k", 524288 },
      { "4m", 4194304 }, { "1.5k", 1536 }, { "20g", 20 * 2 ^ 30 }, { "1t", 2 ^ 40 },
      { "0.3b", 0 },
    } do
      assert.equal(case[2], units.size(case[1]))
    end
  end)

  it("reads durations", function()
    for _, case in ipairs {
      { 5, 5 }, { 0.5, 0.5 }, { "200ms", 0.2 }, { "30s", 30 }, { "5m", 300 }, { "24h", 86400 },
      { "7d", 604800 }, { "2w", 1209600 },
    } do
      assert.equal(case[2], units.duration(case[1]))
    end
  end)

  it("reads rates", function()
    for _, case in ipairs { { 5, 5 }, { 0.5, 0.5 }, { "20/s", 20 }, { "600/m", 10 },
      { "1.5/s", 1.5 }, { "7200/h", 2 } } do
      assert.equal(case[2], units.rate(case[1]))
    end
    for _, wrong in ipairs { "", "5", "5/", "/s", "5/d", "0/s", 0, -1, "-1/s", math.huge, false,
      {} } do
      assert.is_nil(units.rate(wrong))
    end
  end)

  it("refuses everything else", function()
    for _, wrong in ipairs { "", "k", "4 m", "4M", "-1", "1e3", "4mb", "1..2k", ".5k", -1,
      math.huge, true, {} } do
      assert.is_nil(units.size(wrong))
    end
    for _, wrong in ipairs { "", "30", "s", "1y", "-1s", -1, 0 / 0, false } do
      assert.is_nil(units.duration(wrong))
    end
  end)
end)
