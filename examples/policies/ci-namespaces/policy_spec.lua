describe("the build of a branch", function()
  it("has a namespace of its own", function()
    assert.status(201, push { repo = "ci/fix-1/app", tag = "new", user = "ci-fix-1" })
    assert.status(200, request { path = "/v2/ci/fix-1/app/manifests/new" })
    assert.status(202, request { method = "DELETE", path = "/v2/ci/fix-1/app/manifests/new",
      user = "ci-fix-1" })
  end)

  it("touches nothing else", function()
    for _, repo in ipairs { "ci/fix-2/app", "ci/fix-11/app", "app", "ci/fix-1" } do
      local reply = push { repo = repo, user = "ci-fix-1" }
      assert.status(403, reply, repo)
      assert.equal("this build may change ci/fix-1/ alone", reply.json.errors[1].message)
    end
  end)

  it("is somebody", function()
    assert.status(401, push { repo = "ci/fix-1/app" })
    assert.status(403, push { repo = "ci/fix-1/app", user = "eve" })
  end)
end)
