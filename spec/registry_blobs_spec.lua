-- SPDX-License-Identifier: Apache-2.0
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local TEXT = tool.bytes(2048, 7)
local DIGEST = tool.digest(TEXT)
local MISSING = "sha256:" .. ("0"):rep(64)

describe("blobs", function()
  local g

  setup(function()
    g = pusher.registry()
    pusher.blob(g, "a/b", TEXT)
  end)

  teardown(function() g:stop() end)

  local function get(path, headers, method)
    return g:request(method or "GET", "/v2/" .. path, { headers = headers })
  end

  it("answers the ping, with the version of the protocol", function()
    local reply = get("")
    assert.equal(200, reply.status)
    assert.equal("registry/2.0", reply.header("docker-distribution-api-version"))
    assert.equal("application/json", reply.header("content-type"))
    assert.equal("{}", reply.body)
  end)

  it("gives the bytes and names their digest", function()
    local reply = get("a/b/blobs/" .. DIGEST)
    assert.equal(200, reply.status)
    assert.equal(TEXT, reply.body)
    assert.equal(DIGEST, reply.header("docker-content-digest"))
    assert.equal("registry/2.0", reply.header("docker-distribution-api-version"))
    assert.equal("application/octet-stream", reply.header("content-type"))
    assert.equal("2048", reply.header("content-length"))
    assert.equal("bytes", reply.header("accept-ranges"))
    assert.equal('"' .. DIGEST .. '"', reply.header("etag"))
    assert.equal("max-age=31536000", reply.header("cache-control"))
    assert.is_nil(reply.header("content-encoding"))
  end)

  it("says the same to HEAD, without the bytes", function()
    local full, head = get("a/b/blobs/" .. DIGEST), get("a/b/blobs/" .. DIGEST, nil, "HEAD")
    assert.equal(200, head.status)
    assert.equal("", head.body)
    full.headers.date, head.headers.date = nil, nil
    assert.same(full.headers, head.headers)
  end)

  it("gives ranges", function()
    local cases = {
      { "bytes=500-1499", 501, 1500 }, { "bytes=500-", 501, 2048 },
      { "bytes=-500", 1549, 2048 }, { "bytes=2000-5000", 2001, 2048 },
    }
    for _, case in ipairs(cases) do
      local reply = get("a/b/blobs/" .. DIGEST, { Range = case[1] })
      assert.equal(206, reply.status, case[1])
      assert.equal(TEXT:sub(case[2], case[3]), reply.body)
      local range = ("bytes %d-%d/2048"):format(case[2] - 1, case[3] - 1)
      assert.equal(range, reply.header("content-range"))
      assert.equal(DIGEST, reply.header("docker-content-digest"))
    end
    for _, range in ipairs { "bytes=5000-10000", "bytes=2048-", "bytes=-0", "bytes=9-1" } do
      local reply = get("a/b/blobs/" .. DIGEST, { Range = range })
      assert.equal(416, reply.status, range)
      assert.equal("bytes */2048", reply.header("content-range"))
    end
  end)

  -- What is between two parts' heads is exactly what they announce.
  it("gives several ranges in parts", function()
    local reply = get("a/b/blobs/" .. DIGEST, { Range = "bytes=0-99, 1000-1000,-48,2000-9000" })
    assert.equal(206, reply.status)
    assert.is_nil(reply.header("content-range"))
    assert.equal(DIGEST, reply.header("docker-content-digest"))
    local boundary = reply.header("content-type"):match("^multipart/byteranges; boundary=(%w+)$")
    local rest = reply.body
    for _, part in ipairs { { 0, 99 }, { 1000, 1000 }, { 2000, 2047 }, { 2000, 2047 } } do
      local head = ("\r\n--%s\r\nContent-Type: application/octet-stream\r\n"
        .. "Content-Range: bytes %d-%d/2048\r\n\r\n"):format(boundary, part[1], part[2])
      assert.equal(head, rest:sub(1, #head))
      local n = part[2] - part[1] + 1
      assert.equal(TEXT:sub(part[1] + 1, part[2] + 1), rest:sub(#head + 1, #head + n))
      rest = rest:sub(#head + n + 1)
    end
    assert.equal(("\r\n--%s--\r\n"):format(boundary), rest)
    assert.is_nil(TEXT:find(boundary, 1, true))
  end)

  it("gives everything for ranges that are none", function()
    for _, range in ipairs {
      "bytes=x-", "bytes=", "bytes=-", "lines=0-1", "bytes=0-1;2-3", "bytes 0-1",
      "bytes=0-" .. (",0-"):rep(16), "bytes=0-1000,0-1000,0-1000",
    } do
      local reply = get("a/b/blobs/" .. DIGEST, { Range = range })
      assert.equal(200, reply.status, range)
      assert.equal(TEXT, reply.body)
      assert.is_nil(reply.header("content-range"))
    end
  end)

  it("does not send again what the client has", function()
    local reply = get("a/b/blobs/" .. DIGEST, { ["If-None-Match"] = '"' .. DIGEST .. '"' })
    assert.equal(304, reply.status)
    assert.equal("", reply.body)
  end)

  it("shows a repository only its own blobs", function()
    for _, path in ipairs { "a/c/blobs/" .. DIGEST, "a/b/blobs/" .. MISSING } do
      local reply = get(path)
      assert.equal(404, reply.status)
      local code, detail = pusher.code(reply)
      assert.equal("BLOB_UNKNOWN", code)
      assert.same({ digest = path:match("sha256.*") }, detail)
      local head = get(path, nil, "HEAD")
      assert.equal(404, head.status)
      assert.equal("", head.body)
      assert.equal("registry/2.0", head.header("docker-distribution-api-version"))
    end
  end)

  it("refuses what is no digest", function()
    for _, bad in ipairs { "sha256:baddigest", "uploads", "md5:" .. ("0"):rep(32) } do
      local reply = get("a/b/blobs/" .. bad)
      assert.equal(400, reply.status, bad)
      assert.equal("DIGEST_INVALID", (pusher.code(reply)))
    end
  end)

  it("forgets a deleted blob at once, here only", function()
    local text = "to be deleted"
    local digest = pusher.blob(g, "del/one", text).digest
    pusher.blob(g, "del/two", text)
    assert.equal(202, get("del/one/blobs/" .. digest, nil, "DELETE").status)
    assert.equal(404, get("del/one/blobs/" .. digest, nil, "HEAD").status)
    assert.equal(404, get("del/one/blobs/" .. digest, nil, "DELETE").status)
    assert.equal(200, get("del/two/blobs/" .. digest, nil, "HEAD").status)
  end)

  it("counts a torn link as absent, so that a push mends it", function()
    pusher.blob(g, "torn", "torn")
    local hex = tool.sha256("torn")
    local link = "docker/registry/v2/repositories/torn/_layers/sha256/" .. hex .. "/link"
    tool.write(g.data .. "/" .. link, "")
    assert.equal(404, get("torn/blobs/sha256:" .. hex).status)
    pusher.blob(g, "torn", "torn")
    assert.equal("torn", get("torn/blobs/sha256:" .. hex).body)
  end)

  it("knows SHA-512 as well, stored as the distribution registry does", function()
    local text = "long digest"
    local digest = "sha512:" .. tool.sha512(text)
    local path = ("/v2/long/blobs/uploads/?digest=%s"):format(digest)
    local reply = g:request("POST", path, { body = text })
    assert.equal(201, reply.status)
    assert.equal(digest, reply.header("docker-content-digest"))
    assert.equal("/v2/long/blobs/" .. digest, reply.header("location"))
    local got = get("long/blobs/" .. digest)
    assert.equal(text, got.body)
    assert.equal(digest, got.header("docker-content-digest"))
    assert.equal(text, get("long/blobs/" .. tool.digest(text)).body)
    local link = ("%s/docker/registry/v2/repositories/long/_layers/sha512/%s/link")
      :format(g.data, tool.sha512(text))
    assert.equal(tool.digest(text), tool.read(link))
    assert.equal(202, get("long/blobs/" .. tool.digest(text), nil, "DELETE").status)
    assert.equal(404, get("long/blobs/" .. digest).status)
  end)
end)
