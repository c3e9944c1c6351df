-- SPDX-License-Identifier: Apache-2.0
--
-- What is refused, how, and with which code: much of what registries differ in. docs/conformance.md
-- has the list.
local gateway = require "spec.gateway"
local pusher = require "spec.pusher"

local ZERO = "sha256:" .. ("0"):rep(64)

describe("a refusal", function()
  local g, place, digest
  setup(function()
    g = pusher.registry()
    digest = pusher.image(g, "rf/a", "v1")
    pusher.blob(g, "rf/a", "x")
  end)
  before_each(function() place = pusher.session(g, "rf/a") end)
  teardown(function() g:stop() end)

  local long = ("a"):rep(256)
  local INDEX = '{"manifests":[]}'
  local many_tags = "tag=t1"
  for i = 2, 21 do many_tags = many_tags .. "&tag=t" .. i end
  -- method, path ({place} is a fresh session's), status, code, headers, body or its chunks
  local cases = {
    { "GET", "/v2/UP/blobs/" .. ZERO, 400, "NAME_INVALID" },
    { "GET", "/v2/" .. long .. "/tags/list", 400, "NAME_INVALID" },
    { "GET", "/v2/rf/none/tags/list", 404, "NAME_UNKNOWN" },
    { "GET", "/v2/rf/a/tags/list?n=-1", 400, "PAGINATION_NUMBER_INVALID" },
    { "GET", "/v2/rf/a/tags/list?n=ten", 400, "PAGINATION_NUMBER_INVALID" },
    { "GET", "/v2/_catalog?n=-1", 400, "PAGINATION_NUMBER_INVALID" },
    { "GET", "/v2/rf/a/blobs/" .. ZERO, 404, "BLOB_UNKNOWN" },
    { "GET", "/v2/rf/a/blobs/sha256:bad", 400, "DIGEST_INVALID" },
    { "DELETE", "/v2/rf/a/blobs/" .. ZERO, 404, "BLOB_UNKNOWN" },
    { "GET", "/v2/rf/a/manifests/" .. ZERO, 404, "MANIFEST_UNKNOWN" },
    { "GET", "/v2/rf/a/manifests/none", 404, "MANIFEST_UNKNOWN" },
    { "GET", "/v2/rf/a/manifests/sha256:bad", 400, "DIGEST_INVALID" },
    { "GET", "/v2/rf/a/manifests/" .. long, 400, "TAG_INVALID" },
    { "DELETE", "/v2/rf/a/manifests/none", 404, "MANIFEST_UNKNOWN" },
    { "DELETE", "/v2/rf/a/manifests/" .. ZERO, 404, "MANIFEST_UNKNOWN" },
    { "PUT", "/v2/rf/a/manifests/" .. ZERO, 400, "DIGEST_INVALID", nil, INDEX },
    { "PUT", "/v2/rf/a/manifests/sha256:bad", 400, "DIGEST_INVALID", nil, INDEX },
    { "PUT", "/v2/rf/a/manifests/v1", 400, "MANIFEST_INVALID", nil, "{" },
    { "PUT", "/v2/rf/a/manifests/v1", 400, "MANIFEST_INVALID",
      { ["Content-Type"] = pusher.IMAGE }, INDEX },
    { "PUT", "/v2/rf/a/manifests/v1", 404, "MANIFEST_BLOB_UNKNOWN", nil,
      '{"layers":[{"digest":"' .. ZERO .. '"}]}' },
    { "PUT", "/v2/rf/a/manifests/v1", 413, "SIZE_INVALID", nil, (" "):rep(4 * 2 ^ 20 + 1) },
    { "PUT", "/v2/rf/a/manifests/v1", 400, "MANIFEST_INVALID", nil,
      '{"manifests":[],"subject":{"digest":"bad"}}' },
    { "PUT", "/v2/rf/a/manifests/" .. ZERO .. "?tag=-bad", 400, "TAG_INVALID", nil, INDEX },
    { "PUT", "/v2/rf/a/manifests/" .. ZERO .. "?" .. many_tags, 414, "TAG_INVALID", nil, INDEX },
    { "GET", "/v2/rf/a/referrers/bad", 400, "DIGEST_INVALID" },
    { "GET", "/v2/rf/a/referrers/" .. ZERO .. "?last=bad", 400, "DIGEST_INVALID" },
    { "GET", "/v2/rf/a/blobs/uploads/none", 404, "BLOB_UPLOAD_UNKNOWN" },
    { "PATCH", "/v2/rf/a/blobs/uploads/none", 404, "BLOB_UPLOAD_UNKNOWN", nil, "x" },
    { "DELETE", "/v2/rf/a/blobs/uploads/none", 404, "BLOB_UPLOAD_UNKNOWN" },
    { "PUT", "{place}", 400, "DIGEST_INVALID", nil, "x" },
    { "PUT", "{place}?digest=sha256:bad", 400, "DIGEST_INVALID", nil, "x" },
    { "PUT", "{place}?digest=" .. ZERO, 400, "DIGEST_INVALID", nil, "x" },
    { "PATCH", "{place}", 416, "RANGE_INVALID", { ["Content-Range"] = "1-1" }, "x" },
    { "PATCH", "{place}", 416, "RANGE_INVALID", { ["Content-Range"] = "bytes 0-0/1" }, "x" },
    { "PATCH", "{place}", 400, "SIZE_INVALID", { ["Content-Range"] = "0-1" }, "x" },
    { "PATCH", "{place}", 400, "SIZE_INVALID", { ["Content-Range"] = "0-1" }, { "x" } },
    { "PATCH", "{place}", 413, "SIZE_INVALID", { ["Content-Range"] = "0-0" }, { "x", "yz" } },
    { "PUT", "{place}?digest=" .. ZERO, 416, "RANGE_INVALID", { ["Content-Range"] = "1-1" }, "x" },
    { "POST", "/v2/rf/a/blobs/uploads/?digest=bad", 400, "DIGEST_INVALID", nil, "x" },
    { "POST", "/v2/rf/a/blobs/uploads/?digest=" .. ZERO, 400, "DIGEST_INVALID", nil, "x" },
    { "POST", "/v2/rf/a/blobs/uploads/?digest-algorithm=md5", 400, "DIGEST_INVALID" },
    { "POST", "/v2/rf/a/manifests/v1", 405, "UNSUPPORTED", nil, INDEX },
    { "DELETE", "/v2/rf/a/tags/list", 405, "UNSUPPORTED" },
    { "GET", "/v2/rf/a", 404, "UNSUPPORTED" },
  }

  for i, case in ipairs(cases) do
    local method, path, status, code, headers, body = unpack(case, 1, 6)
    it(("%d: %s %s is %d %s"):format(i, method, path:sub(1, 60), status, code), function()
      path = path:gsub("{place}", function() return place end)
      local kind = type(body) == "table" and "chunked" or "body"
      local reply = g:request(method, path, { headers = headers, [kind] = body })
      assert.equal(status, reply.status, reply.body)
      assert.equal(code, (pusher.code(reply)))
      assert.equal("registry/2.0", reply.header("docker-distribution-api-version"))
      assert.equal(status == 405, reply.header("allow") ~= nil)
      if status == 416 then
        assert.equal(place, reply.header("location"))
        assert.equal("0-0", reply.header("range"))
      end
      if method == "GET" then -- HEAD says the same without the text
        local head = g:request("HEAD", path, { headers = headers })
        assert.equal(status, head.status)
        assert.equal(tostring(#reply.body), head.header("content-length"))
      end
      local wrong_content = status == 400 and path:find("digest=" .. ZERO, 1, true)
      if path:find(place, 1, true) then -- a session dies of wrong content, and of nothing else
        assert.equal(wrong_content and 404 or 204, g:request("GET", place).status)
      end
      assert.equal(200, g:request("HEAD", "/v2/rf/a/manifests/" .. digest).status)
    end)
  end
end)

-- What goes wrong behind the registry says so by its status, and by a code that clients know.
describe("a failure of", function()
  local GET, PUT = "GET", "PUT"
  local cases = { -- what a store does, method, path, status, code
    { "read:DENIED:1", GET, "manifests/v1", 500, "UNKNOWN" },
    { "read:IO:1", GET, "manifests/v1", 500, "UNKNOWN" },
    { "read:CORRUPT:1", GET, "manifests/v1", 500, "UNKNOWN" },
    { "read:BUSY:1", GET, "manifests/v1", 503, "UNAVAILABLE" },
    { "list:TIMEOUT:1", GET, "tags/list", 503, "UNAVAILABLE" },
    { "put:NO_SPACE:1", PUT, "manifests/v1", 507, "UNAVAILABLE" },
    { "put:DENIED:1", PUT, "manifests/v1", 500, "UNKNOWN" },
  }

  for _, case in ipairs(cases) do
    local fail, method, path, status, code = unpack(case)
    it(("the store (%s) is %d %s"):format(fail, status, code), function()
      local g = gateway.start { script = ([[
        local gate = require "tidegate"
        gate.config { listen = gate.env "TIDEGATE_LISTEN" }
        local store = gate.store.mem { name = "refusals", fail = %q }
        gate.serve { require "apps.registry" { store = store } }
      ]]):format(fail) }
      local reply = g:request(method, "/v2/rf/a/" .. path,
        { body = method == PUT and '{"manifests":[]}' or nil })
      assert.equal(status, reply.status, reply.body)
      assert.equal(code, (pusher.code(reply)))
      assert.is_truthy(g:logged(("level=error[^\n]*status=%d"):format(status)))
      g:stop()
    end)
  end

  it("nothing, where a script denies, is 403 DENIED", function()
    local g = pusher.registry [[
      auth = { identify = function() gate.fail(403, "DENIED", "not from here") end },
    ]]
    local reply = g:request("GET", "/v2/")
    assert.same({ 403, "DENIED" }, { reply.status, (pusher.code(reply)) })
    g:stop()
  end)

  it("another server that says who is asking is 502", function()
    local g = pusher.registry [[
      auth = { identify = function() gate.http.get "http://127.0.0.1:1/" end },
    ]]
    local reply = g:request("GET", "/v2/")
    assert.same({ 502, "UNAVAILABLE" }, { reply.status, (pusher.code(reply)) })
    g:stop()
  end)
end)
