describe("a pull", function()
  local function warning(repo, ref)
    local reply = request { path = ("/v2/%s/manifests/%s"):format(repo, ref) }
    return reply.headers.warning, reply.status
  end

  local image
  before_each(function()
    for _, repo in ipairs { "app", "old/app" } do
      image = push { repo = repo, tag = "v1" }
      assert.status(201, image)
      assert.status(201, push { repo = repo })
    end
  end)

  it("of latest is warned", function()
    assert.equal('299 - "latest moves; name a version or a digest"', (warning("app", "latest")))
    assert.is_nil((warning("app", "v1")))
    assert.is_nil((warning("app", image.digest)))
  end)

  it("of what is to go is warned", function()
    assert.equal('299 - "old/app goes on 2027-01-01, use web/app"', (warning("old/app", "v1")))
  end)

  it("of nothing is an ordinary 404", function()
    local text, status = warning("none", "latest")
    assert.is_nil(text)
    assert.equal(404, status)
  end)
end)
