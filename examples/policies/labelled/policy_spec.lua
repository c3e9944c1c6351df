local GOOD = { ["org.opencontainers.image.source"] = "https://git.example/app",
  ["org.opencontainers.image.revision"] = "4c0ffee" }

local INDEX = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",'
  .. '"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s",'
  .. '"size":1}]}'

describe("an image", function()
  it("is let in with its labels", function()
    assert.status(201, push { repo = "app", labels = GOOD })
  end)

  it("is let in with annotations", function()
    assert.status(201, push { repo = "app", annotations = GOOD })
  end)

  it("is refused without, and the label is named", function()
    local reply = push { repo = "app", labels = { ["org.opencontainers.image.source"] = "x" } }
    assert.status(403, reply)
    assert.equal("a label is missing: org.opencontainers.image.revision",
      reply.json.errors[1].message)
    assert.status(404, request { path = "/v2/app/manifests/latest" })
  end)

  it("needs nothing below try/", function()
    assert.status(201, push { repo = "try/app" })
  end)

  it("can be one of an index", function()
    local image = push { repo = "app", labels = GOOD }
    assert.status(201, request { method = "PUT", path = "/v2/app/manifests/all",
      body = INDEX:format(image.digest) })
  end)
end)
