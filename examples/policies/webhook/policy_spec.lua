describe("a push", function()
  local told

  local function hear(status)
    told = {}
    on_http(function(method, url, options)
      told[#told + 1] = method .. " " .. url .. " " .. options.body
      return { status = type(status) == "table" and status[#told] or status }
    end)
  end

  it("is told, with who did it", function()
    hear(204)
    local reply = push { repo = "app", tag = "v1", user = "ann" }
    assert.status(201, reply)
    assert.same({ "POST http://127.0.0.1:8080/pushed " .. ('{"by":"ann","digest":"%s",'
      .. '"repo":"app","tag":"v1"}'):format(reply.digest) }, told)
  end)

  it("is told again when the server fails", function()
    hear { 500, 503, 200 }
    assert.status(201, push { repo = "app", tag = "v1" })
    assert.equal(3, #told)
  end)

  it("does not fail with the server", function()
    hear(500)
    assert.status(201, push { repo = "app", tag = "v1" })
    assert.equal(5, #told)
  end)
end)
