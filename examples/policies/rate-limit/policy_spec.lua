describe("a user", function()
  local function pull(user, address)
    return request { path = "/v2/app/manifests/latest", user = user, address = address }
  end

  before_each(function()
    assert.status(201, push { repo = "app", user = "ann" })
  end)

  it("has a hundred pulls an hour", function()
    at "2026-11-22 10:20"
    for _ = 1, 100 do assert.status(200, pull "ann") end
    local reply = pull "ann"
    assert.status(403, reply)
    assert.equal("100 pulls an hour are used up, wait 40 minutes", reply.json.errors[1].message)
    assert.status(200, pull "bob")
    assert.status(200, request { method = "HEAD", path = "/v2/app/manifests/latest", user = "ann" })
    advance "40m"
    assert.status(200, pull "ann")
  end)

  it("is an address when it has no name", function()
    at "2026-11-22 11:00"
    for _ = 1, 100 do assert.status(200, pull(nil, "10.0.0.1")) end
    assert.status(401, pull(nil, "10.0.0.1"))
    assert.status(200, pull(nil, "10.0.0.2"))
  end)
end)
