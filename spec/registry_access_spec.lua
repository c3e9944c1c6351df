-- SPDX-License-Identifier: Apache-2.0
local gateway = require "spec.gateway"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

-- What the hook was asked, in the log; the name of the repository says what it answers.
local HOOK = [[
  auth = { challenge = 'Basic realm="spec"', identify = function(q)
    return { name = q.headers["x-user"] or "" }
  end },
  allow = function(q)
    gate.log.info("asked", { what = table.concat(
      { q.action, q.repo or "-", q.tag or "-", q.user.name }, ",") })
    if q.repo == "broken" then error("a mistake in the hook") end
    if q.repo == "quiet" then return nil end
    if q.action == "pull" and q.repo == "secret" then return false, "it is a secret" end
    return q.user.name == "ann" or q.action == "pull", "ask ann"
  end,
]]

describe("access", function()
  local g

  setup(function() g = pusher.registry(HOOK) end)
  teardown(function() g:stop() end)

  local function call(method, path, user, body)
    return g:request(method, "/v2/" .. path, { headers = { ["X-User"] = user }, body = body })
  end

  local DIGEST = tool.digest("x")

  it("asks the hook, with the action, the repository and the tag", function()
    local index = '{"manifests":[]}'
    local cases = {
      { "GET", "a/blobs/" .. DIGEST, "pull,a,-,ann" },
      { "GET", "a/manifests/v1", "pull,a,v1,ann" },
      { "HEAD", "a/manifests/" .. DIGEST, "pull,a,-,ann" },
      { "GET", "a/tags/list", "pull,a,-,ann" },
      { "POST", "a/blobs/uploads/", "push,a,-,ann" },
      { "DELETE", "a/blobs/uploads/x", "push,a,-,ann" },
      { "PUT", "a/manifests/" .. tool.digest(index), "push,a,-,ann", index },
      { "PUT", "a/manifests/v2", "tag,a,v2,ann", index },
      { "PUT", "a/manifests/" .. tool.digest(index) .. "?tag=v8&tag=v9", "tag,a,v9,ann", index },
      { "GET", "a/referrers/" .. DIGEST, "pull,a,-,ann" },
      { "DELETE", "a/manifests/v2", "untag,a,v2,ann" },
      { "DELETE", "a/manifests/" .. DIGEST, "delete,a,-,ann" },
      { "DELETE", "a/blobs/" .. DIGEST, "delete,a,-,ann" },
      { "GET", "_catalog", "catalog,-,-,ann" },
    }
    for _, case in ipairs(cases) do
      call(case[1], case[2], "ann", case[4])
      assert.is_truthy(g:logged("asked[^\n]*" .. case[3]:gsub("%-", "%%-")), case[3])
    end
  end)

  it("answers 401 with a challenge to nobody, 403 with the reason to somebody", function()
    for _, path in ipairs { "a/blobs/uploads/", "a/blobs/uploads/?digest=" .. DIGEST } do
      local reply = call("POST", path)
      assert.equal(401, reply.status)
      assert.equal('Basic realm="spec"', reply.header("www-authenticate"))
      assert.equal("UNAUTHORIZED", (pusher.code(reply)))
      reply = call("POST", path, "bob")
      assert.equal(403, reply.status)
      assert.equal("DENIED", (pusher.code(reply)))
      assert.equal("ask ann", pusher.decode(reply.body).errors[1].message)
      assert.is_nil(reply.header("www-authenticate"))
    end
  end)

  it("denies when the hook fails or says nothing", function()
    local reply = call("GET", "broken/blobs/" .. DIGEST, "ann")
    assert.equal(500, reply.status)
    assert.is_nil(reply.body:find("mistake", 1, true), "clients do not see the script's mistakes")
    assert.is_truthy(g:logged("a mistake in the hook"))
    assert.equal(403, call("GET", "quiet/blobs/" .. DIGEST, "ann").status)
  end)

  it("asks both repositories before a mount, and falls back to a session", function()
    assert.equal(201, call("POST", "secret/blobs/uploads/?digest=" .. DIGEST, "ann", "x").status)
    local reply = call("POST", "a/blobs/uploads/?mount=" .. DIGEST .. "&from=secret", "ann")
    assert.equal(202, reply.status)
    assert.equal(201, call("POST", "open/blobs/uploads/?digest=" .. DIGEST, "ann", "x").status)
    reply = call("POST", "a/blobs/uploads/?mount=" .. DIGEST .. "&from=open", "ann")
    assert.equal(201, reply.status)
    assert.is_truthy(g:logged("asked[^\n]*mount,a,%-,ann"))
  end)
end)

describe("the registry's options", function()
  local BASE = [[
    local gate = require "tidegate"
    gate.config { listen = "127.0.0.1:0" }
    local disk = gate.store.mem { name = "spec" }
    gate.serve { require "apps.registry" { %s } }
  ]]
  local cases = {
    { "store = disk, alow = function() end", "unknown option 'alow', did you mean 'allow'?" },
    { "store = disk, allow = true", "'allow' must be a function" },
    { "", "'store' is needed" },
  }

  for _, case in ipairs(cases) do
    it("refuse at load: " .. case[2], function()
      local ok, out = gateway.check(BASE:format(case[1]))
      assert.is_false(ok)
      assert.is_truthy(out:find("gateway.lua:4: registry: " .. case[2], 1, true), out)
    end)
  end
end)

describe("the examples", function()
  it("serve a registry", function()
    local g = gateway.start { path = "examples/registry.lua" }
    local digest = pusher.image(g, "first/image", "v1")
    assert.equal(digest, g:request("HEAD", "/v2/first/image/manifests/v1")
      .header("docker-content-digest"))
    assert.equal(200, g:request("GET", "/healthz").status)
    g:stop()
  end)

  it("freeze release tags", function()
    local g = gateway.start { path = "examples/policies/frozen-releases.lua" }
    pusher.image(g, "a", "v1", 1)
    pusher.image(g, "a", "edge", 1)
    local text = pusher.image_text(g, "a", 2)
    assert.equal(403, pusher.put_manifest(g, "a", "v1", text).status)
    assert.equal(201, pusher.put_manifest(g, "a", "edge", text).status)
    assert.equal(403, g:request("DELETE", "/v2/a/manifests/v1").status)
    assert.equal(202, g:request("DELETE", "/v2/a/manifests/edge").status)
    assert.equal(401, g:request("GET", "/v2/_catalog").status)
    g:stop()
  end)
end)
