-- SPDX-License-Identifier: Apache-2.0
local pusher = require "spec.pusher"
local tool = require "spec.tool"
local wire = require "spec.wire"

local TEXT = tool.bytes(3000, 3)
local DIGEST = tool.digest(TEXT)
local EMPTY = tool.digest("")
local MISSING = "sha256:" .. ("0"):rep(64)

describe("uploads", function()
  local g

  setup(function() g = pusher.registry() end)
  teardown(function() g:stop() end)

  local function check_blob(repo, digest, text)
    local reply = g:request("GET", ("/v2/%s/blobs/%s"):format(repo, digest))
    assert.equal(200, reply.status)
    assert.is_true(reply.body == text, "the bytes are the same")
  end

  local function check_created(reply, repo, digest)
    assert.equal(201, reply.status, reply.body)
    assert.equal(("/v2/%s/blobs/%s"):format(repo, digest), reply.header("location"))
    assert.equal(digest, reply.header("docker-content-digest"))
    assert.equal("registry/2.0", reply.header("docker-distribution-api-version"))
  end

  local function check_session(reply, status, location, range)
    assert.equal(status, reply.status, reply.body)
    assert.equal(location, reply.header("location"))
    assert.equal(range, reply.header("range"))
    assert.equal(location:match("[^/]+$"), reply.header("docker-upload-uuid"))
  end

  -- No session of the repository is left in the store.
  local function check_no_session(repo)
    local below = "docker/registry/v2/repositories/" .. repo .. "/_uploads"
    assert.same({}, g:files(below))
  end

  it("begin with a session that has a relative place", function()
    local reply = g:request("POST", "/v2/up/begin/blobs/uploads/", {
      headers = { ["Content-Type"] = "application/json" },
    })
    local location = reply.header("location")
    assert.matches("^/v2/up/begin/blobs/uploads/%x+%-%x+%-%x+%-%x+%-%x+$", location)
    check_session(reply, 202, location, "0-0")
    check_session(g:request("GET", location), 204, location, "0-0")
    check_session(g:request("HEAD", location), 204, location, "0-0")
  end)

  it("take a blob as docker sends it: chunked PATCH, empty PUT", function()
    local location = pusher.session(g, "up/docker")
    local reply = g:request("PATCH", location, { chunked = { TEXT:sub(1, 7), TEXT:sub(8) } })
    check_session(reply, 202, location, "0-2999")
    check_session(g:request("GET", location), 204, location, "0-2999")
    reply = g:request("PUT", location .. "?digest=" .. DIGEST:gsub(":", "%%3A"))
    check_created(reply, "up/docker", DIGEST)
    check_blob("up/docker", DIGEST, TEXT)
    assert.equal(404, g:request("GET", location).status)
    check_no_session("up/docker")
  end)

  it("take a blob as containerd sends it: everything in the PUT", function()
    local location = pusher.session(g, "up/whole")
    local reply = g:request("PUT", location .. "?digest=" .. DIGEST, { body = TEXT })
    check_created(reply, "up/whole", DIGEST)
    check_blob("up/whole", DIGEST, TEXT)
    check_no_session("up/whole")
  end)

  it("take a blob in one POST", function()
    local path = "/v2/up/post/blobs/uploads/?digest=" .. DIGEST
    check_created(g:request("POST", path, { body = TEXT }), "up/post", DIGEST)
    check_blob("up/post", DIGEST, TEXT)
    local reply = g:request("POST", path, { body = "something else" })
    assert.equal(400, reply.status)
    assert.equal("DIGEST_INVALID", (pusher.code(reply)))
  end)

  it("take chunks with Content-Range, the last one in the PUT", function()
    local location = pusher.session(g, "up/chunks")
    local reply = g:request("PATCH", location, {
      body = TEXT:sub(1, 1000), headers = { ["Content-Range"] = "0-999" },
    })
    check_session(reply, 202, location, "0-999")
    reply = g:request("PATCH", location, {
      body = TEXT:sub(1001, 2000), headers = { ["Content-Range"] = "1000-1999" },
    })
    check_session(reply, 202, location, "0-1999")
    reply = g:request("PUT", location .. "?digest=" .. DIGEST, {
      body = TEXT:sub(2001), headers = { ["Content-Range"] = "2000-2999" },
    })
    check_created(reply, "up/chunks", DIGEST)
    check_blob("up/chunks", DIGEST, TEXT)
  end)

  it("refuse a chunk out of its place and say where they stand", function()
    local location = pusher.session(g, "up/order")
    local function send(method, path, first, last)
      return g:request(method, path, {
        body = TEXT:sub(first + 1, last + 1),
        headers = { ["Content-Range"] = ("%d-%d"):format(first, last) },
      })
    end
    local reply = send("PATCH", location, 1000, 1999)
    check_session(reply, 416, location, "0-0")
    assert.equal("RANGE_INVALID", (pusher.code(reply)))
    check_session(send("PATCH", location, 0, 999), 202, location, "0-999")
    check_session(send("PATCH", location, 2000, 2999), 416, location, "0-999")
    check_session(send("PATCH", location, 0, 999), 416, location, "0-999")
    check_session(send("PUT", location .. "?digest=" .. DIGEST, 2000, 2999), 416, location, "0-999")
    check_session(g:request("GET", location), 204, location, "0-999")
    check_session(send("PATCH", location, 1000, 1999), 202, location, "0-1999")
    check_created(send("PUT", location .. "?digest=" .. DIGEST, 2000, 2999), "up/order", DIGEST)
  end)

  it("refuse a Content-Range that is none, or another length than the body", function()
    local location = pusher.session(g, "up/range")
    local cases = {
      { "0-9", 400, "SIZE_INVALID" }, { "0-4000000000", 400, "SIZE_INVALID" },
      { "x", 416, "RANGE_INVALID" }, { "5-1", 416, "RANGE_INVALID" },
      { "0-99999999999999999999", 416, "RANGE_INVALID" }, { "-1-5", 416, "RANGE_INVALID" },
    }
    for _, case in ipairs(cases) do
      local reply = g:request("PATCH", location, {
        body = "12345", headers = { ["Content-Range"] = case[1] },
      })
      assert.equal(case[2], reply.status, case[1])
      assert.equal(case[3], (pusher.code(reply)))
    end
    check_session(g:request("GET", location), 204, location, "0-0")
  end)

  it("take empty content every way", function()
    local location = pusher.session(g, "up/empty")
    check_created(g:request("PUT", location .. "?digest=" .. EMPTY), "up/empty", EMPTY)
    check_blob("up/empty", EMPTY, "")
    local reply = g:request("POST", "/v2/up/empty2/blobs/uploads/?digest=" .. EMPTY)
    check_created(reply, "up/empty2", EMPTY)
    location = pusher.session(g, "up/empty3")
    check_session(g:request("PATCH", location), 202, location, "0-0")
    check_session(g:request("PATCH", location, { chunked = {} }), 202, location, "0-0")
    reply = g:request("PUT", location .. "?digest=" .. EMPTY, { chunked = {} })
    check_created(reply, "up/empty3", EMPTY)
    check_no_session("up/empty3")
  end)

  it("take SHA-512 after pieces", function()
    local digest = "sha512:" .. tool.sha512(TEXT)
    local location = pusher.session(g, "up/long")
    g:request("PATCH", location, { body = TEXT:sub(1, 100) })
    local reply = g:request("PUT", location .. "?digest=" .. digest, { body = TEXT:sub(101) })
    check_created(reply, "up/long", digest)
    check_blob("up/long", digest, TEXT)
    check_blob("up/long", DIGEST, TEXT)
    location = pusher.session(g, "up/long2")
    reply = g:request("PUT", location .. "?digest=" .. digest, { body = TEXT })
    check_created(reply, "up/long2", digest)
    check_blob("up/long2", digest, TEXT)
  end)

  it("hash as they come what is to have a SHA-512 digest", function()
    local digest = "sha512:" .. tool.sha512(TEXT)
    for _, lost in ipairs { "none", "sha512/2000", "sha256/2000" } do
      local reply = g:request("POST", "/v2/up/algo/blobs/uploads/?digest-algorithm=sha512")
      local location = pusher.place(reply)
      check_session(reply, 202, location, "0-0")
      g:request("PATCH", location, { body = TEXT:sub(1, 1000) })
      g:request("PATCH", location, { body = TEXT:sub(1001, 2000) })
      local below = "docker/registry/v2/repositories/up/algo/_uploads/" .. location:match("[^/]+$")
      assert.same({ "data", "hashstates/sha256/1000", "hashstates/sha256/2000",
        "hashstates/sha512/0", "hashstates/sha512/1000", "hashstates/sha512/2000", "startedat" },
        g:files(below))
      local state = tool.read(g.data .. "/" .. below .. "/hashstates/sha512/2000")
      assert.same({ 204, "sha\7" }, { #state, state:sub(1, 4) })
      os.remove(g.data .. "/" .. below .. "/hashstates/" .. lost)
      reply = g:request("PUT", location .. "?digest=" .. digest, { body = TEXT:sub(2001) })
      check_created(reply, "up/algo", digest)
      check_blob("up/algo", digest, TEXT)
    end
    check_no_session("up/algo")
  end)

  it("end with a digest of either algorithm, whichever they began with", function()
    for _, algorithm in ipairs { "sha256", "sha512" } do
      local path = "/v2/up/either/blobs/uploads/?digest-algorithm=" .. algorithm
      for _, digest in ipairs { DIGEST, "sha512:" .. tool.sha512(TEXT) } do
        local location = pusher.place(g:request("POST", path))
        g:request("PATCH", location, { body = TEXT })
        check_created(g:request("PUT", location .. "?digest=" .. digest), "up/either", digest)
      end
    end
    for _, bad in ipairs { "md5", "SHA512", "" } do
      local path = "/v2/up/either/blobs/uploads/?digest-algorithm=" .. bad
      local reply = g:request("POST", path)
      assert.equal(400, reply.status)
      assert.equal("DIGEST_INVALID", (pusher.code(reply)))
    end
  end)

  it("end with a digest that is not the content's: 400, and the session is gone", function()
    local wrong = tool.digest("wrong")
    for _, before in ipairs { "", TEXT:sub(1, 10) } do
      for _, rest in ipairs { "", "rest" } do
        local location = pusher.session(g, "up/wrong")
        if before ~= "" then g:request("PATCH", location, { body = before }) end
        local reply = g:request("PUT", location .. "?digest=" .. wrong, { body = rest })
        assert.equal(400, reply.status)
        assert.equal("DIGEST_INVALID", (pusher.code(reply)))
        assert.equal(404, g:request("GET", location).status)
      end
    end
    check_no_session("up/wrong")
    assert.equal(404, g:request("HEAD", "/v2/up/wrong/blobs/" .. wrong).status)
  end)

  it("survive a PUT without a digest, or with a bad one", function()
    local location = pusher.session(g, "up/nodigest")
    g:request("PATCH", location, { body = TEXT })
    for _, query in ipairs { "", "?digest=", "?digest=sha256:bad", "?digest=md5:00" } do
      local reply = g:request("PUT", location .. query)
      assert.equal(400, reply.status, query)
      assert.equal("DIGEST_INVALID", (pusher.code(reply)))
    end
    local reply = g:request("PUT", location .. "?digest=" .. DIGEST)
    check_created(reply, "up/nodigest", DIGEST)
  end)

  it("can be cancelled", function()
    local location = pusher.session(g, "up/cancel")
    g:request("PATCH", location, { body = TEXT })
    assert.equal(204, g:request("DELETE", location).status)
    for _, method in ipairs { "GET", "HEAD", "PATCH", "PUT", "DELETE" } do
      assert.equal(404, g:request(method, location .. "?digest=" .. DIGEST).status, method)
    end
    assert.equal("BLOB_UPLOAD_UNKNOWN", (pusher.code(g:request("GET", location))))
    check_no_session("up/cancel")
    assert(g:logged("upload=" .. location:match("[^/]+$"):gsub("%-", "%%-")))
  end)

  it("are unknown under another repository, and under ids that are none", function()
    local location = pusher.session(g, "up/mine")
    local id = location:match("[^/]+$")
    for _, path in ipairs {
      "/v2/up/other/blobs/uploads/" .. id, "/v2/up/mine/blobs/uploads/..%2f" .. id,
      "/v2/up/mine/blobs/uploads/" .. ("0"):rep(36), "/v2/up/mine/blobs/uploads/x",
    } do
      local reply = g:request("GET", path)
      assert.equal(404, reply.status, path)
      assert.equal("BLOB_UPLOAD_UNKNOWN", (pusher.code(reply)))
    end
  end)

  it("are kept in docker-registry's form, hash states included", function()
    local location = pusher.session(g, "up/form")
    g:request("PATCH", location, { body = TEXT:sub(1, 100) })
    local below = "docker/registry/v2/repositories/up/form/_uploads/" .. location:match("[^/]+$")
    assert.same({ "data", "hashstates/sha256/100", "startedat" }, g:files(below))
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$",
      tool.read(g.data .. "/" .. below .. "/startedat"))
    local state = tool.read(g.data .. "/" .. below .. "/hashstates/sha256/100")
    assert.equal(108, #state)
    assert.equal("sha\3", state:sub(1, 4))
  end)

  it("go on without a state at their exact size", function()
    for _, kept in ipairs { "none", "an earlier one", "one of a later form" } do
      local location = pusher.session(g, "up/state")
      g:request("PATCH", location, { body = TEXT:sub(1, 1000) })
      g:request("PATCH", location, { body = TEXT:sub(1001, 2000) })
      local states = ("%s/docker/registry/v2/repositories/up/state/_uploads/%s/hashstates/sha256/")
        :format(g.data, location:match("[^/]+$"))
      local state = tool.read(states .. "2000")
      os.remove(states .. "2000")
      if kept == "one of a later form" then
        tool.write(states .. "2000", "sha\9" .. state:sub(5))
      end
      if kept == "none" then os.remove(states .. "1000") end
      local reply = g:request("PUT", location .. "?digest=" .. DIGEST, { body = TEXT:sub(2001) })
      check_created(reply, "up/state", DIGEST)
    end
  end)

  -- SHA-512 has to be computed from the start, which gives the other client time to append.
  it("never give a digest to bytes that came after it was checked", function()
    local long = tool.bytes(8 * 1024 * 1024, 7)
    local digest = "sha512:" .. tool.sha512(long)
    for _ = 1, 5 do
      local location = pusher.session(g, "up/race")
      g:request("PATCH", location, { body = long })
      local closing = g:raw()
      closing:send(wire.head("PUT", location .. "?digest=" .. digest, {}))
      g:request("PATCH", location, { body = "more" })
      local reply = closing:read_reply("PUT")
      closing:close()
      if reply.status == 201 then
        check_blob("up/race", digest, long)
      elseif reply.status == 416 then
        check_session(reply, 416, location, "0-8388611")
      else -- the other client came before the look at the session
        assert.equal(400, reply.status)
      end
    end
  end)

  it("let two clients finish the same content", function()
    local big = tool.bytes(200000, 11)
    local digest = tool.digest(big)
    local connections = {}
    for i = 1, 8 do
      local location = pusher.session(g, "up/race")
      if i % 2 == 0 then g:request("PATCH", location, { body = big }) end
      local c = g:raw()
      c:send(("PUT %s?digest=%s HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n")
        :format(location, digest, i % 2 == 0 and 0 or #big))
      if i % 2 == 1 then c:send(big:sub(1, -2)) end
      connections[i] = c
    end
    for i, c in ipairs(connections) do
      if i % 2 == 1 then c:send(big:sub(-1)) end
    end
    for _, c in ipairs(connections) do
      check_created(c:read_reply("PUT"), "up/race", digest)
      c:close()
      check_blob("up/race", digest, big)
    end
  end)

  it("mount a blob of another repository", function()
    pusher.blob(g, "up/from", TEXT)
    local path = "/v2/up/to/blobs/uploads/?mount=" .. DIGEST .. "&from=up/from"
    check_created(g:request("POST", path), "up/to", DIGEST)
    check_blob("up/to", DIGEST, TEXT)
  end)

  it("mount a blob without being told from where, if the user may pull it there", function()
    local other = pusher.registry [[
      allow = function(q) return q.action ~= "pull" or q.repo ~= "up/secret" end,
    ]]
    local path = "/v2/up/any/blobs/uploads/?mount="
    local long = "sha512:" .. tool.sha512(TEXT)
    assert.equal(202, other:request("POST", path .. DIGEST).status)
    pusher.blob(other, "up/open", TEXT)
    local reply = other:request("POST", path .. DIGEST)
    check_created(reply, "up/any", DIGEST)
    assert.equal(TEXT, other:request("GET", "/v2/up/any/blobs/" .. DIGEST).body)
    assert.equal(202, other:request("POST", path .. long).status)
    pusher.blob(other, "up/secret", "only there")
    assert.equal(202, other:request("POST", path .. tool.digest("only there")).status)
    for _, repo in ipairs { "any", "open" } do
      assert.equal(202, other:request("DELETE", ("/v2/up/%s/blobs/%s"):format(repo, DIGEST)).status)
    end
    assert.equal(202, other:request("POST", path .. DIGEST).status)
    other:stop()
  end)

  it("answer a mount that cannot be with a session", function()
    pusher.blob(g, "up/from", TEXT)
    for _, query in ipairs {
      "mount=" .. MISSING, "mount=" .. DIGEST .. "&from=up/nothing", "mount=bad&from=up/from",
      "mount=" .. DIGEST .. "&from=UP/..", "mount=" .. EMPTY .. "&from=up/from",
    } do
      local reply = g:request("POST", "/v2/up/fallback/blobs/uploads/?" .. query)
      check_session(reply, 202, reply.header("location"), "0-0")
    end
  end)
end)
