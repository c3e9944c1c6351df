local function layer(letter, mib)
  return letter:rep(mib * 2 ^ 20)
end

describe("a repository", function()
  it("of no team holds 16 MiB", function()
    assert.status(201, push { repo = "app", tag = "v1", layers = { layer("a", 7), layer("b", 7) } })
    local reply = push { repo = "app", tag = "v2", layers = { layer("c", 3) } }
    assert.status(403, reply)
    assert.matches("the quota of app is 16.0 MiB", reply.json.errors[1].message)
    assert.status(201, push { repo = "app", tag = "v2", layers = { layer("c", 1) } })
  end)

  it("counts by itself", function()
    assert.status(201, push { repo = "one", layers = { layer("a", 7), layer("b", 7) } })
    assert.status(201, push { repo = "two", layers = { layer("a", 7), layer("b", 7) } })
  end)

  it("of a team holds more", function()
    assert.status(201, push { repo = "web/app",
      layers = { layer("a", 7), layer("b", 7), layer("c", 7) } })
  end)
end)
