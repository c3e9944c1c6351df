-- SPDX-License-Identifier: Apache-2.0
--
-- How much a repository may hold: refused before a body is read, cut where it goes over, counted
-- in the store.
local pusher = require "spec.pusher"
local tool = require "spec.tool"
local wire = require "spec.wire"

local HOOK = [[
  auth = { challenge = "Basic", identify = function(q)
    return { name = q.headers["x-user"] or "" }
  end },
  quota = function(user, repo)
    if user.name == "root" or repo == "free" then return nil end
    local odd = { wrong = true, word = "much", broken = error, missing = function()
      disk:copy("no", "yes")
    end }
    local value = odd[repo]
    if type(value) == "function" then value() end
    return value or "4k"
  end,
]]

local KIB = 1024

describe("a quota", function()
  local g

  setup(function() g = pusher.registry(HOOK) end)
  teardown(function() g:stop() end)

  local function push(repo, body, more)
    local o = { body = body }
    for name, value in pairs(more or {}) do o[name] = value end
    return g:request("POST", ("/v2/%s/blobs/uploads/?digest=%s"):format(repo, tool.digest(body)), o)
  end

  local function refused(reply, used, size)
    assert.equal(403, reply.status)
    local code, detail = pusher.code(reply)
    assert.equal("DENIED", code)
    assert.equal(4 * KIB, detail.quota)
    assert.equal(used, detail.used)
    assert.equal(size, detail.size)
    return pusher.decode(reply.body).errors[1].message
  end

  it("is what a repository may hold, whoever has what it holds, too", function()
    local a, b = tool.bytes(3 * KIB, 1), tool.bytes(KIB, 2)
    assert.equal(201, push("one", a).status)
    assert.equal(201, push("one", a).status) -- is there already
    assert.equal("the quota of one is 4.0 KiB, and 3.0 KiB are used",
      refused(push("one", tool.bytes(KIB + 1, 3)), 3 * KIB, KIB + 1))
    assert.equal(201, push("one", b).status)
    refused(push("one", "x"), 4 * KIB, 1)
    assert.equal(201, push("two", a).status)
    refused(push("two", tool.bytes(2 * KIB, 4)), 3 * KIB, 2 * KIB)
    assert.equal(201, push("free", tool.bytes(9 * KIB, 5)).status)
    local root = { headers = { ["X-User"] = "root" } }
    assert.equal(201, push("one", tool.bytes(9 * KIB, 6), root).status)
  end)

  it("is free again for what is deleted", function()
    local a = tool.bytes(3 * KIB, 1)
    assert.equal(201, push("del", a).status)
    refused(push("del", tool.bytes(2 * KIB, 2)), 3 * KIB, 2 * KIB)
    assert.equal(202, g:request("DELETE", "/v2/del/blobs/" .. tool.digest(a)).status)
    assert.equal(201, push("del", tool.bytes(2 * KIB, 2)).status)
  end)

  it("holds for manifests", function()
    local note = ('{"schemaVersion":2,"manifests":[],"annotations":{"a":"%s"}}')
      :format(("x"):rep(1900))
    assert.equal(201, pusher.put_manifest(g, "man", "v1", note, pusher.INDEX).status)
    assert.equal(201, pusher.put_manifest(g, "man", "v2", note, pusher.INDEX).status)
    local other = note:gsub("x", "y")
    assert.equal(201, pusher.put_manifest(g, "man", "v3", other, pusher.INDEX).status)
    local third = note:gsub("x", "z")
    refused(pusher.put_manifest(g, "man", "v4", third, pusher.INDEX), 2 * #note, #note)
    assert.equal(404, g:request("GET", "/v2/man/manifests/v4").status)
    assert.equal(202, g:request("DELETE", "/v2/man/manifests/" .. tool.digest(other)).status)
    assert.equal(201, pusher.put_manifest(g, "man", "v4", third, pusher.INDEX).status)
  end)

  it("is said before the client sends the body", function()
    assert.equal(201, push("early", tool.bytes(3 * KIB, 1)).status)
    local place = pusher.session(g, "early")
    local to = "/v2/early/blobs/uploads/?digest=" .. tool.digest "y"
    local closing = pusher.closing(place, tool.digest "y")
    for method, path in pairs { POST = to, PATCH = place, PUT = closing } do
      local c = g:raw()
      c:send(wire.head(method, path, { headers = { Expect = "100-continue",
        ["Content-Length"] = 10 * KIB } }))
      local reply = c:read_reply(method)
      refused(reply, 3 * KIB, 10 * KIB)
      assert.is_false(reply.continued)
      c:close()
    end
    assert.equal(201, push("early", tool.bytes(KIB, 2)).status)
    local reply = g:request("POST", "/v2/early/blobs/uploads/")
    refused(reply, 4 * KIB) -- not even begun
  end)

  -- Sends a chunked body until the server has enough; the reply.
  local function flood(method, path, n)
    local c = g:raw()
    c:send(wire.head(method, path, { headers = { ["Transfer-Encoding"] = "chunked",
      ["Content-Length"] = false } }))
    local chunk = tool.bytes(KIB, 7)
    for _ = 1, n do -- it may close before the end
      if not c:send(("%x\r\n%s\r\n"):format(KIB, chunk)) then break end
    end
    c:send "0\r\n\r\n"
    local reply = c:read_reply(method)
    c:close()
    return reply
  end

  it("cuts a body of unknown length, and keeps nothing of it", function()
    local place = pusher.session(g, "cut")
    refused(flood("PATCH", place, 20), 0)
    assert.equal(404, g:request("GET", place).status)
    place = pusher.session(g, "cut")
    refused(flood("PUT", pusher.closing(place, tool.digest "y"), 20), 0)
    refused(flood("POST", "/v2/cut/blobs/uploads/?digest=" .. tool.digest "y", 20), 0)
    place = pusher.session(g, "cut")
    assert.equal(202, flood("PATCH", place, 3).status)
    refused(flood("PATCH", place, 2), 0)
    for _, file in ipairs(g:files()) do
      assert.is_nil(file:find("cut/_uploads/[^/]+/data", 1), file)
    end
    place = pusher.session(g, "cut")
    assert.equal(202, flood("PATCH", place, 4).status)
    local all = tool.bytes(KIB, 7):rep(4)
    assert.equal(201, g:request("PUT", pusher.closing(place, tool.digest(all))).status)
  end)

  it("holds when an upload ends, too", function()
    local place, other = pusher.session(g, "late"), pusher.session(g, "late")
    local a, b = tool.bytes(3 * KIB, 1), tool.bytes(3 * KIB, 2)
    assert.equal(202, g:request("PATCH", place, { body = a }).status)
    assert.equal(202, g:request("PATCH", other, { body = b }).status)
    assert.equal(201, g:request("PUT", pusher.closing(place, tool.digest(a))).status)
    refused(g:request("PUT", pusher.closing(other, tool.digest(b))), 3 * KIB, #b)
    assert.equal(404, g:request("GET", "/v2/late/blobs/" .. tool.digest(b)).status)
  end)

  it("makes a mount that does not fit an upload", function()
    local a, b = tool.bytes(3 * KIB, 1), tool.bytes(2 * KIB, 2)
    assert.equal(201, push("from", a).status)
    assert.equal(201, push("other", b).status)
    local function mount(digest, from)
      local path = ("/v2/to/blobs/uploads/?mount=%s&from=%s"):format(digest, from)
      return g:request("POST", path).status
    end
    assert.equal(201, mount(tool.digest(a), "from"))
    assert.equal(201, mount(tool.digest(a), "from"))
    assert.equal(202, mount(tool.digest(b), "other"))
    assert.equal(404, g:request("GET", "/v2/to/blobs/" .. tool.digest(b)).status)
  end)

  it("gives its room to pushes that come at once, and no more than that", function()
    assert.equal(201, push("race", "").status)
    local open, ok = {}, 0
    for i = 1, 8 do
      local body = tool.bytes(KIB, 20 + i)
      open[i] = g:raw()
      open[i]:send(wire.head("POST", "/v2/race/blobs/uploads/?digest=" .. tool.digest(body),
        { body = body }) .. body)
    end
    for _, c in ipairs(open) do
      local reply = c:read_reply("POST")
      assert.truthy(reply.status == 201 or reply.status == 403, reply.status)
      if reply.status == 201 then ok = ok + 1 end
      c:close()
    end
    assert.truthy(ok == 4 or ok == 3, ok) -- one that ends may count twice for a moment
  end)

  it("with a mistake lets nothing in", function()
    for repo, why in pairs { wrong = "quota must return a size or nil", word = "a size or nil",
      broken = "script error", missing = "an option's function failed[^\n]*NOT_FOUND" } do
      assert.equal(500, push(repo, "x").status)
      assert.equal(500, g:request("POST", ("/v2/%s/blobs/uploads/"):format(repo)).status)
      assert.equal(500, pusher.put_manifest(g, repo, "v1", '{"manifests":[]}', pusher.INDEX).status)
      local from = ("/v2/%s/blobs/uploads/?mount=%s&from=free"):format(repo,
        push("free", "abc").header "docker-content-digest")
      assert.equal(500, g:request("POST", from).status)
      assert.truthy(g:logged(why), why)
    end
  end)
end)

describe("the quota of several gateways on one store", function()
  it("counts what is there when a gateway begins, and before it refuses", function()
    local data = tool.tmpdir()
    local a = pusher.registry(HOOK, { data = data })
    local function push(g, seed, size)
      local body = tool.bytes(size, seed)
      return g:request("POST", "/v2/r/blobs/uploads/?digest=" .. tool.digest(body), { body = body })
    end
    assert.equal(201, push(a, 1, 3 * KIB).status)
    local b = pusher.registry(HOOK, { data = data })
    assert.equal(403, push(b, 2, 2 * KIB).status)
    local digest = tool.digest(tool.bytes(3 * KIB, 1))
    assert.equal(202, a:request("DELETE", "/v2/r/blobs/" .. digest).status)
    tool.must "sleep 1.1" -- b's count is good for so long
    assert.equal(201, push(b, 2, 2 * KIB).status)
    a:stop()
    b:stop()
    tool.remove(data)
  end)
end)
