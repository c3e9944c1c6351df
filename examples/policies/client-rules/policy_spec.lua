describe("a push", function()
  local function from(address, agent)
    return push { repo = "app", user = "ann", address = address,
      headers = { ["User-Agent"] = agent } }
  end

  it("comes from a builder", function()
    assert.status(201, from("10.20.3.4"))
    assert.status(201, from("10.21.7.1", "docker/27.1 go/go1.22"))
    assert.status(403, from("10.21.8.1"))
    assert.status(403, from("192.168.10.20"))
    assert.status(403, from("2001:db8::1"))
  end)

  it("comes from a client that can", function()
    local reply = from("10.20.3.4", "docker/17.06 go/go1.8")
    assert.status(403, reply)
    assert.equal("this client is too old to push", reply.json.errors[1].message)
  end)

  it("is not a pull, which is for everybody", function()
    assert.status(201, from("10.20.3.4"))
    assert.status(200, request { path = "/v2/app/manifests/latest", address = "203.0.113.9" })
  end)
end)
