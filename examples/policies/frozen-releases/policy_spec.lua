describe("a release tag", function()
  before_each(function()
    assert.status(201, push { repo = "app", tag = "v1.0" })
  end)

  it("can be pulled", function()
    assert.status(200, request { path = "/v2/app/manifests/v1.0" })
  end)

  it("is never moved", function()
    local reply = push { repo = "app", tag = "v1.0", labels = { other = "one" } }
    assert.status(403, reply)
    assert.equal("the tag v1.0 is immutable", reply.json.errors[1].message)
    assert.status(403, request { method = "DELETE", path = "/v2/app/manifests/v1.0" })
    assert.status(201, push { repo = "app", tag = "v1.0" }) -- the same image
  end)

  it("leaves other tags alone", function()
    assert.status(201, push { repo = "app", tag = "main" })
    assert.status(201, push { repo = "app", tag = "main", labels = { other = "one" } })
    assert.status(202, request { method = "DELETE", path = "/v2/app/manifests/main" })
  end)

  it("is not listed with all the others", function()
    assert.status(401, request { path = "/v2/_catalog" })
  end)
end)
