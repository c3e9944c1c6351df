describe("a deleted tag", function()
  local function delete(repo, ref, user)
    return request { method = "DELETE", path = ("/v2/%s/manifests/%s"):format(repo, ref),
      user = user }
  end

  local image
  before_each(function()
    at "2026-11-22 09:00"
    image = push { repo = "a/app", tag = "v1", user = "ann" }
    assert.status(201, image)
    assert.status(202, delete("a/app", "v1", "ann"))
  end)

  it("is in the trash", function()
    assert.status(404, request { path = "/v2/a/app/manifests/v1" })
    local reply = request { path = "/v2/trash/a/app/manifests/20261122-v1" }
    assert.status(200, reply)
    assert.equal(image.digest, reply.headers["docker-content-digest"])
  end)

  it("can be pushed back", function()
    local body = request { path = "/v2/trash/a/app/manifests/20261122-v1" }.body
    assert.status(201, request { method = "PUT", path = "/v2/a/app/manifests/v1", user = "ann",
      body = body, headers = { ["Content-Type"] = "application/vnd.oci.image.manifest.v1+json" } })
  end)

  it("stays there until keeper takes it", function()
    assert.status(403, delete("trash/a/app", "20261122-v1", "ann"))
    assert.status(403, push { repo = "trash/a/app", user = "ann" })
    assert.status(403, delete("a/app", image.digest, "ann"))
    assert.status(202, delete("trash/a/app", "20261122-v1", "keeper"))
  end)
end)
