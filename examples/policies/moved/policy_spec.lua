describe("an old name", function()
  it("leads to the new one", function()
    local reply = request { path = "/v2/old/app/manifests/v1" }
    assert.status(307, reply)
    assert.equal("/v2/web/app/manifests/v1", reply.headers.location)
    reply = request { method = "HEAD", path = "/v2/tools/build/blobs/sha256:abc" }
    assert.status(307, reply)
    assert.equal("/v2/ci/build/blobs/sha256:abc", reply.headers.location)
  end)

  it("says what became of it", function()
    local reply = request { path = "/v2/demo/app/manifests/v1" }
    assert.status(404, reply)
    assert.equal("demo/app was given up in 2024", reply.json.errors[1].message)
  end)

  it("is like any other for a push", function()
    assert.status(201, push { repo = "old/app", tag = "v1" })
    assert.status(201, push { repo = "web/app", tag = "v1" })
    assert.status(200, request { path = "/v2/web/app/manifests/v1" })
  end)
end)
