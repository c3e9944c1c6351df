describe("a registry for everybody", function()
  local image
  before_each(function()
    image = push { repo = "app", tag = "v1", user = "ann" }
    assert.status(201, image)
  end)

  it("is pulled from without a name", function()
    assert.status(200, request { path = "/v2/app/manifests/v1" })
    assert.status(200, request { path = "/v2/_catalog" })
  end)

  it("is pushed to with one", function()
    local reply = push { repo = "app", tag = "v2" }
    assert.status(401, reply)
    assert.equal("log in to push", reply.json.errors[1].message)
    assert.truthy(reply.headers["www-authenticate"])
  end)

  it("knows a wrong password", function()
    assert.status(401, push { repo = "app", headers = { Authorization = "Basic ZXZlOndyb25n" } })
  end)

  it("is cleaned by admin", function()
    local function delete(user)
      return request { method = "DELETE", path = "/v2/app/manifests/" .. image.digest, user = user }
    end
    assert.status(403, delete "ann")
    assert.status(202, delete "admin")
  end)
end)
