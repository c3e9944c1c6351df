describe("a list of tags", function()
  before_each(function()
    for _, tag in ipairs { "main", "v1.0", "v1.1", "v2.0" } do
      assert.status(201, push { repo = "app", tag = tag })
    end
  end)

  local function list(query)
    local reply = request { path = "/v2/app/tags/list" .. query }
    assert.status(200, reply)
    return reply.json.tags, reply.headers.link
  end

  it("shows what fits", function()
    assert.same({ "v1.0", "v1.1" }, (list "?match=v1.*"))
    assert.same({ "main", "v2.0" }, (list "?match=%7Bmain,v2*%7D"))
    assert.same({}, (list "?match=x"))
    assert.same({ "main", "v1.0", "v1.1", "v2.0" }, (list ""))
  end)

  it("goes on in pages", function()
    local tags, link = list "?match=v*&n=2"
    assert.same({ "v1.0", "v1.1" }, tags)
    assert.matches("last=v1.1", link)
  end)

  it("stands bad patterns", function()
    assert.same({}, (list "?match=%7Bv1"))
  end)

  it("changes no pull", function()
    assert.status(200, request { path = "/v2/app/manifests/main?match=v1.*" })
  end)
end)
