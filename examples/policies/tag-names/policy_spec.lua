describe("a tag", function()
  local function status(tag, user)
    return push { repo = "app", tag = tag, user = user }.status
  end

  it("is a version or a branch", function()
    for tag, wanted in pairs { ["v1.2.3"] = 201, ["v10.0.0-rc.2"] = 201, ["branch-x"] = 201,
      latest = 403, v1 = 403, ["v1.2.3-4-gabc"] = 403, ["branch-"] = 403, ["xv1.2.3"] = 403 } do
      assert.equal(wanted, status(tag, "release"), tag)
    end
  end)

  it("is a version if release says so", function()
    assert.equal(403, status("v1.2.3", "ann"))
    assert.equal(201, status("branch-x", "ann"))
  end)

  it("is named in the refusal", function()
    assert.equal("a tag is v1.2.3, v1.2.3-rc.1 or branch-NAME, not latest",
      push { repo = "app", user = "ann" }.json.errors[1].message)
  end)
end)
