describe("a team", function()
  it("changes what is its own", function()
    assert.status(201, push { repo = "web/app", user = "ann" })
    assert.status(201, push { repo = "etl/a/b", user = "eve" })
    assert.status(202, request { method = "DELETE", path = "/v2/web/app/manifests/latest",
      user = "bob" })
  end)

  it("leaves the others' alone", function()
    local reply = push { repo = "data/x", user = "ann" }
    assert.status(403, reply)
    assert.equal("data/x belongs to the team data", reply.json.errors[1].message)
    assert.equal("no team has app", push { repo = "app", user = "ann" }.json.errors[1].message)
    assert.status(401, push { repo = "web/app" })
  end)

  it("lets everybody pull", function()
    assert.status(201, push { repo = "web/app", user = "ann" })
    assert.status(200, request { path = "/v2/web/app/manifests/latest" })
  end)
end)
