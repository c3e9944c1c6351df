-- SPDX-License-Identifier: Apache-2.0
local router = require "tidegate.router"

local function routes(list)
  local r = router.new()
  for _, line in ipairs(list) do
    local method, pattern = line:match "^(%S+) (%S+)$"
    r:add(method, pattern, line)
  end
  return r
end

-- what the registry serves below /v2
local REGISTRY = {
  "GET /", "GET /_catalog", "GET /{name...}/tags/list",
  "GET /{name...}/manifests/{ref}", "PUT /{name...}/manifests/{ref}",
  "DELETE /{name...}/manifests/{ref}", "GET /{name...}/blobs/{digest}",
  "DELETE /{name...}/blobs/{digest}", "POST /{name...}/blobs/uploads/",
  "GET /{name...}/blobs/uploads/{id}", "PATCH /{name...}/blobs/uploads/{id}",
  "PUT /{name...}/blobs/uploads/{id}", "GET /{name...}/referrers/{digest}",
}

describe("the router", function()
  it("finds the route and its values", function()
    local r = routes(REGISTRY)
    for _, case in ipairs {
      { "GET", "", "GET /", {} },
      { "GET", "/", "GET /", {} },
      { "GET", "/_catalog", "GET /_catalog", {} },
      { "GET", "/a/tags/list", "GET /{name...}/tags/list", { name = "a" } },
      { "GET", "/a/b/c/tags/list", "GET /{name...}/tags/list", { name = "a/b/c" } },
      { "GET", "/a/manifests/v1", "GET /{name...}/manifests/{ref}", { name = "a", ref = "v1" } },
      { "HEAD", "/a/b/blobs/x", "GET /{name...}/blobs/{digest}", { name = "a/b", digest = "x" } },
      { "POST", "/a/blobs/uploads/", "POST /{name...}/blobs/uploads/", { name = "a" } },
      { "PUT", "/a/blobs/uploads/7", "PUT /{name...}/blobs/uploads/{id}",
        { name = "a", id = "7" } },
      { "GET", "/blobs/uploads/blobs/uploads/9", "GET /{name...}/blobs/uploads/{id}",
        { name = "blobs/uploads", id = "9" } },
      { "GET", "/a/tags/manifests/list", "GET /{name...}/manifests/{ref}",
        { name = "a/tags", ref = "list" } },
      { "GET", "/a%2Fb/manifests/x%20y", "GET /{name...}/manifests/{ref}",
        { name = "a/b", ref = "x y" } },
    } do
      local handler, params = r:match(case[1], case[2])
      assert.equal(case[3], handler, case[2])
      assert.same(case[4], params, case[2])
    end
  end)

  it("says 404, 405 with the methods, or 400", function()
    local r = routes(REGISTRY)
    for _, case in ipairs {
      { "GET", "/nothing", 404 },
      { "GET", "/tags/list", 404 },
      { "GET", "/a//tags/list", 404 },
      { "GET", "//tags/list", 404 },
      { "GET", "/a/manifests/", 404 },
      { "GET", "/a/manifests/b/", 404 },
      { "GET", "/a%2ftags%2Flist", 404 },
      { "POST", "/a/manifests/b", 405, "DELETE, GET, HEAD, PUT" },
      { "GET", "/a/blobs/uploads/", 405, "POST" },
      { "BREW", "/_catalog", 405, "GET, HEAD" },
      { "GET", "/a/manifests/%zz", 400 },
      { "GET", "/a/manifests/%4", 400 },
      { "GET", "/a%/manifests/x", 400 },
    } do
      local handler, status, allow = r:match(case[1], case[2])
      assert.is_nil(handler, case[2])
      assert.equal(case[3], status, case[2])
      assert.equal(case[4], allow, case[2])
    end
  end)

  it("prefers more literals, then no {x...}, then the order written", function()
    for _, case in ipairs {
      { { "GET /{a}/{b}", "GET /{a}/x" }, "/1/x", "GET /{a}/x" },
      { { "GET /{a...}", "GET /{a}/{b}" }, "/1/2", "GET /{a}/{b}" },
      { { "GET /{a...}", "GET /{a}/{b}" }, "/1/2/3", "GET /{a...}" },
      { { "GET /{a}/x", "GET /x/{a}" }, "/x/x", "GET /{a}/x" },
      { { "GET /x/{a}", "GET /{a}/x" }, "/x/x", "GET /x/{a}" },
      { { "GET /{a...}/x", "GET /{a}/{b}" }, "/1/x", "GET /{a...}/x" },
      { { "PUT /a/{x}", "GET /{x...}" }, "/a/b", "GET /{x...}" },
    } do
      assert.equal(case[3], (routes(case[1]):match("GET", case[2])), case[2])
    end
  end)

  it("keeps a HEAD handler apart from GET", function()
    local r = routes { "GET /a", "HEAD /a" }
    assert.equal("HEAD /a", (r:match("HEAD", "/a")))
    assert.equal("GET /a", (r:match("GET", "/a")))
  end)

  it("gives each method the names that it wrote", function()
    local r = routes { "GET /{a}", "PUT /{b}" }
    assert.same({ b = "1" }, select(2, r:match("PUT", "/1")))
  end)

  it("refuses bad patterns and the same shape twice", function()
    for _, case in ipairs {
      { { "GET a" }, "must be a string that begins with /" },
      { { "GET /{a}/{a}" }, "has {a} twice" },
      { { "GET /{a...}/x/{b...}" }, "more than one {x...}" },
      { { "GET /x{a}" }, "must fill a whole segment" },
      { { "GET /{}" }, "must fill a whole segment" },
      { { "GET /{a..}" }, "must fill a whole segment" },
      { { "GET /{a}/x", "GET /{b}/x" }, "has the same shape as /{a}/x" },
    } do
      local ok, message = pcall(routes, case[1])
      assert.is_false(ok)
      assert.truthy(tostring(message):find(case[2], 1, true), tostring(message))
    end
  end)

  it("lists its routes with the prefix", function()
    assert.same({ "GET /p/a", "PUT /p/a", "GET /p/{x}" },
      routes({ "GET /{x}", "PUT /a", "GET /a" }):describe "/p")
  end)
end)
