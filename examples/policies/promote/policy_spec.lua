describe("the tag", function()
  local function set(tag, ...)
    return push { repo = "app", tag = tag, user = "ann", groups = { ... } }
  end

  it("prod is set by release", function()
    assert.status(201, set("prod", "release"))
    assert.status(201, set("prod-eu", "release", "operators"))
    local reply = set("prod-eu", "operators")
    assert.status(403, reply)
    assert.equal("prod-eu is set by the group release", reply.json.errors[1].message)
  end)

  it("stage is set by operators", function()
    assert.status(201, set("stage", "operators"))
    assert.status(403, set "stage")
  end)

  it("prod is deleted by release, too", function()
    assert.status(201, set("prod", "release"))
    local function delete(group)
      return request { method = "DELETE", path = "/v2/app/manifests/prod", user = "ann",
        groups = { group } }
    end
    assert.status(403, delete "operators")
    assert.status(202, delete "release")
  end)

  it("of any other name is anybody's who has one", function()
    assert.status(201, set "v1")
    assert.status(401, push { repo = "app", tag = "v1" })
  end)
end)
