describe("a load balancer", function()
  it("hears 200", function()
    for _, path in ipairs { "/", "/healthz", "/v2/" } do
      assert.status(200, request { path = path }, path)
      assert.status(200, request { method = "HEAD", path = path }, path)
    end
  end)

  it("hears 404 elsewhere", function()
    assert.status(404, request { path = "/index.html" })
    assert.status(405, request { method = "POST", path = "/" })
  end)
end)
