describe("zuul", function()
  it("pushes, and everybody pulls", function()
    local image = push { repo = "library/app", tag = "change_1_2", user = "zuul" }
    assert.status(201, image)
    for _, user in ipairs { "", "ann" } do
      assert.status(403, push { repo = "library/app", tag = "mine", user = "ann" })
      assert.status(200, request { path = "/v2/library/app/manifests/change_1_2", user = user })
      assert.status(200, request { path = "/v2/library/app/manifests/" .. image.digest })
    end
  end)

  it("does not move the image of a change", function()
    assert.status(201, push { repo = "a", tag = "change_1_2", user = "zuul" })
    assert.status(403, push { repo = "a", tag = "change_1_2", user = "zuul", labels = { n = "2" } })
    assert.status(201, push { repo = "a", tag = "latest", user = "zuul" })
  end)
end)
