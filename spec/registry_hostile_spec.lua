-- SPDX-License-Identifier: Apache-2.0
--
-- Everything that a client can do wrong, by accident or on purpose. Whatever it is, the answer is
-- quick and says what is wrong, the reason is in the log under the request's id, and nothing stays
-- behind: no file, no descriptor.
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local TEXT = tool.bytes(300000, 21)
local DIGEST = tool.digest(TEXT)
local LONG = ("a"):rep(9000)
local END = "0\r\n\r\n" -- of a chunked body
local LIMITS = [[limits = { stall = "300ms", head = "300ms" }]]

local function get(lines)
  return "GET /v2/ HTTP/1.1\r\n" .. lines .. "\r\n"
end

local function post(lines, body)
  return "POST /v2/h/x/blobs/uploads/ HTTP/1.1\r\nHost: h\r\n" .. lines .. "\r\n" .. (body or "")
end

-- what it is, what is sent, the status
local HEADS = {
  { "a request that is no HTTP", "hello\r\n\r\n", 400 },
  { "a bare LF", "GET /v2/ HTTP/1.1\nHost: h\n\n", 400 },
  { "a bare CR in a value", get("Host: h\r\nA: b\rc\r\n"), 400 },
  { "a NUL in a value", get("Host: h\r\nA: b\0c\r\n"), 400 },
  { "no Host", get(""), 400 },
  { "two Hosts", get("Host: a\r\nHost: b\r\n"), 400 },
  { "a blank before the colon", get("Host: h\r\nA : b\r\n"), 400 },
  { "a folded line", get("Host: h\r\nA: b\r\n c\r\n"), 400 },
  { "a name that is no token", get("Host: h\r\nA(: b\r\n"), 400 },
  { "an absolute target", "GET http://h/v2/ HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
  { "two blanks in the request line", "GET  /v2/ HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
  { "a version that is none", "GET /v2/ HTTP/3.0\r\nHost: h\r\n\r\n", 505 },
  { "CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", "4.. or 5.." },
  { "an unknown expectation", post("Expect: cake\r\nContent-Length: 0\r\n"), 417 },
  { "a target that is too long", "GET /" .. LONG .. " HTTP/1.1\r\nHost: h\r\n\r\n", 414 },
  { "a head that is too long", get("Host: h\r\nA: " .. ("a"):rep(17000) .. "\r\n"), 431 },
  { "too many lines", get("Host: h\r\n" .. ("A: b\r\n"):rep(101)), 431 },
  { "two Content-Lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "xx"), 400 },
  { "a list of Content-Lengths", post("Content-Length: 1, 1\r\n", "x"), 400 },
  { "a negative Content-Length", post("Content-Length: -1\r\n"), 400 },
  { "a signed Content-Length", post("Content-Length: +1\r\n", "x"), 400 },
  { "a hexadecimal Content-Length", post("Content-Length: 0x1\r\n", "x"), 400 },
  { "a Content-Length beyond 64 bits", post("Content-Length: 99999999999999999999\r\n"), 400 },
  { "both lengths", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", END), 400 },
  { "a coding that is not chunked", post("Transfer-Encoding: gzip, chunked\r\n", END), 501 },
  { "chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 501 },
}

-- chunked bodies, as sent to an upload
local CHUNKS = {
  { "a size that is none", "x\r\n" },
  { "a size with a sign", "-1\r\n" },
  { "a size beyond 64 bits", ("f"):rep(17) .. "\r\n" },
  { "data longer than its size", "1\r\nab\r\n0\r\n\r\n" },
  { "a bare LF behind the size", "1\na\r\n0\r\n\r\n" },
  { "a malformed trailer", "0\r\nnot a trailer\r\n\r\n" },
}

describe("bad input", function()
  local g, calm

  setup(function()
    g = pusher.registry("", { config = LIMITS })
    pusher.image(g, "h/good", "v1")
    g:request("GET", "/v2/h/good/manifests/v1")
    calm = g:descriptors()
  end)

  after_each(function()
    assert.equal(200, g:request("GET", "/v2/h/good/manifests/v1").status)
    assert.is_true(g:keeps(calm), "descriptors stay open")
  end)

  teardown(function() g:stop() end)

  for _, case in ipairs(HEADS) do
    it("refuses " .. case[1], function()
      local c = g:raw()
      c:send(case[2])
      local reply = assert(c:read_reply("GET"))
      if type(case[3]) == "number" then
        assert.equal(case[3], reply.status)
      else
        assert.is_true(reply.status >= 400)
      end
      pusher.code(reply)
      assert.is_true(c:ended(), "nothing behind a malformed head is believed")
      c:close()
    end)
  end

  it("answers a TLS handshake in plain text, so that docker tries plain HTTP", function()
    local c = g:raw()
    c:send("\22\3\1\2\0\1\0\1\252\3\3" .. ("\0"):rep(100))
    assert.equal(400, c:read_reply("GET").status)
    c:close()
  end)

  it("refuses a head that does not end, in time", function()
    local c = g:raw()
    c:send("GET /v2/ HTTP/1.1\r\nHost")
    local reply = c:read_reply("GET")
    assert.is_true(reply == nil or reply.status == 408)
    c:close()
  end)

  for _, case in ipairs(CHUNKS) do
    it("refuses chunks with " .. case[1], function()
      local location = pusher.session(g, "h/chunks")
      local c = g:raw()
      c:send(("PATCH %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%s")
        :format(location, case[2]))
      local reply = assert(c:read_reply("PATCH"))
      assert.equal(400, reply.status)
      pusher.code(reply)
      assert.is_true(c:ended())
      c:close()
      assert.equal(204, g:request("DELETE", location).status)
    end)
  end

  it("does not wait for a body that stops", function()
    for _, method in ipairs { "PATCH", "PUT" } do
      local location = pusher.session(g, "h/stop")
      local before = g:files("docker/registry/v2/blobs")
      local c = g:raw()
      c:send(("%s %s?digest=%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s")
        :format(method, location, DIGEST, #TEXT, TEXT:sub(1, 1000)))
      local reply = assert(c:read_reply(method))
      assert.equal(408, reply.status, method)
      pusher.code(reply)
      assert.is_true(c:ended())
      c:close()
      assert.same(before, g:files("docker/registry/v2/blobs"))
      assert.equal(404, g:request("HEAD", "/v2/h/stop/blobs/" .. DIGEST).status)
      assert.equal(204, g:request("DELETE", location).status)
    end
  end)

  it("forgets what a client sent that leaves in the middle", function()
    local location = pusher.session(g, "h/leave")
    local before = g:files()
    for _, path in ipairs {
      location .. "?digest=" .. DIGEST, "/v2/h/leave/blobs/uploads/?digest=" .. DIGEST,
    } do
      local method = path:find("uploads/?", 1, true) and "POST" or "PUT"
      local c = g:raw()
      c:send(("%s %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s")
        :format(method, path, #TEXT, TEXT:sub(1, 200000)))
      c:close()
      assert.is_true(g:settles(function(files)
        return table.concat(files, "\n") == table.concat(before, "\n")
      end))
    end
    assert.equal(204, g:request("DELETE", location).status)
  end)

  it("keeps what a client appended that left, and lets it go on from there", function()
    local location = pusher.session(g, "h/resume")
    local c = g:raw()
    c:send(("PATCH %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s")
      :format(location, #TEXT, TEXT:sub(1, 200000)))
    c:close()
    local size, reply
    repeat -- until the gateway has seen the client leave
      local range = g:request("GET", location).header("range")
      size = tonumber(range:match("^0%-(%d+)$")) + 1
      size = size > 1 and size or 0
      reply = g:request("PATCH", location, {
        body = TEXT:sub(size + 1),
        headers = { ["Content-Range"] = ("%d-%d"):format(size, #TEXT - 1) },
      })
    until reply.status == 202 or reply.status ~= 416
    assert.equal(202, reply.status, reply.body)
    assert.equal(201, g:request("PUT", location .. "?digest=" .. DIGEST).status)
    assert.is_true(g:request("GET", "/v2/h/resume/blobs/" .. DIGEST).body == TEXT)
  end)

  it("does not mind a reader that leaves early", function()
    pusher.blob(g, "h/reader", TEXT)
    local c = g:raw()
    c:send(("GET /v2/h/reader/blobs/%s HTTP/1.1\r\nHost: h\r\n\r\n"):format(DIGEST))
    c:close()
  end)

  it("refuses names that are none, and says so", function()
    for _, path in ipairs {
      "UPPER/manifests/v1", "a..b/manifests/v1", "a/../b/tags/list", "a___b/tags/list",
      "a%00/tags/list", "%2e%2e/manifests/v1", ("a"):rep(256) .. "/tags/list", "_x/blobs/x",
    } do
      local reply = g:request("GET", "/v2/" .. path)
      assert.equal(400, reply.status, path)
      pusher.code(reply)
    end
  end)

  it("knows no other paths and methods", function()
    for _, path in ipairs { "a", "a//b/tags/list", "a/referrers", "a/tags/other" } do
      local reply = g:request("GET", "/v2/" .. path)
      assert.equal(404, reply.status, path)
      assert.are_not.equal("NAME_UNKNOWN", (pusher.code(reply)))
    end
    local reply = g:request("POST", "/v2/a/tags/list")
    assert.equal(405, reply.status)
    assert.equal("UNSUPPORTED", (pusher.code(reply)))
    assert.is_truthy(reply.header("allow"):find("GET", 1, true))
  end)

  it("says why in the log, under the request's id", function()
    pusher.put_manifest(g, "h/log", "v1", "not json")
    assert.is_truthy(g:logged("refused[^\n]*repo=h/log"))
    local line = g:log():match("[^\n]*refused[^\n]*repo=h/log[^\n]*")
    assert.matches("MANIFEST_INVALID", line)
    assert.matches("%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x", line)
  end)
end)

describe("a full disk", function()
  it("refuses pushes with 507 and goes on with pulls and deletes", function()
    local folder = tool.tmpdir()
    local g = pusher.registry("", { data = folder })
    pusher.image(g, "full", "v1")
    local digest = pusher.blob(g, "full", "kept").digest
    local location = pusher.session(g, "full")
    g:stop()

    g = pusher.registry("", { data = folder, store = [[reserve = "1000000g"]] })
    local before = g:files()
    for _, case in ipairs {
      { "POST", "/v2/full/blobs/uploads/" }, { "PATCH", location, "x" },
      { "PUT", location .. "?digest=" .. tool.digest("x"), "x" },
      { "POST", "/v2/full/blobs/uploads/?digest=" .. tool.digest("x"), "x" },
      { "PUT", "/v2/full/manifests/v2", '{"manifests":[]}' },
    } do
      local reply = g:request(case[1], case[2], { body = case[3] })
      assert.equal(507, reply.status, case[2])
      assert.equal("UNAVAILABLE", (pusher.code(reply)))
      assert.is_truthy(g:logged("refused[^\n]*507"))
    end
    assert.same(before, g:files())
    assert.equal(200, g:request("GET", "/v2/full/manifests/v1").status)
    assert.equal("kept", g:request("GET", "/v2/full/blobs/" .. digest).body)
    assert.equal(202, g:request("DELETE", "/v2/full/blobs/" .. digest).status)
    assert.equal(202, g:request("DELETE", "/v2/full/manifests/v1").status)
    g:stop()
    tool.remove(folder)
  end)
end)
