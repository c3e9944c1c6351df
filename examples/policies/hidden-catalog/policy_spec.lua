describe("the catalog", function()
  before_each(function()
    assert.status(201, push { repo = "public/app", user = "ann" })
    assert.status(201, push { repo = "secret/app", user = "ann" })
  end)

  it("is hidden from nobody", function()
    assert.status(401, request { path = "/v2/_catalog" })
  end)

  it("shows all to those with a name", function()
    assert.same({ "public/app", "secret/app" },
      request { path = "/v2/_catalog", user = "ann" }.json.repositories)
  end)

  it("hides the rest as well", function()
    assert.status(200, request { path = "/v2/public/app/manifests/latest" })
    assert.status(401, request { path = "/v2/secret/app/manifests/latest" })
    assert.status(401, request { path = "/v2/secret/app/tags/list" })
    assert.status(401, push { repo = "public/app" })
  end)
end)
