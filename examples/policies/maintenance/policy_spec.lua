describe("at night", function()
  it("nothing changes", function()
    at "2026-11-22 01:59"
    assert.status(201, push { repo = "app", user = "ann" })
    advance "1m"
    local reply = push { repo = "app", tag = "two", user = "ann" }
    assert.status(403, reply)
    assert.equal("no changes between 02:00 and 04:00 UTC", reply.json.errors[1].message)
    assert.status(403, request { method = "DELETE", path = "/v2/app/manifests/latest",
      user = "ann" })
  end)

  it("pulls go on", function()
    assert.status(201, push { repo = "app" })
    at "2026-11-22 03:30"
    assert.status(200, request { path = "/v2/app/manifests/latest" })
    assert.status(200, request { path = "/v2/_catalog" })
  end)

  it("ends at four", function()
    at "2026-11-22 04:00"
    assert.status(201, push { repo = "app" })
  end)
end)
