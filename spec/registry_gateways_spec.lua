-- SPDX-License-Identifier: Apache-2.0
--
-- Several gateways that share a store, behind a load balancer that knows nothing of sessions.
local crowd = require "spec.crowd"
local layouts = require "spec.layouts"
local lfs = require "lfs"
local linear = require "spec.linear"
local pusher = require "spec.pusher"
local signal = require "posix.signal"
local tool = require "spec.tool"
local wire = require "spec.wire"

local CLIENTS = 8

describe("the judge of histories", function()
  local function op(from, to, kind, value) return { from = from, to = to, [kind] = value } end

  it("accepts what has an order", function()
    for _, history in ipairs {
      {},
      { op(1, 2, "read", "") },
      { op(1, 2, "write", "a"), op(3, 4, "read", "a") },
      { op(1, 5, "write", "a"), op(2, 3, "read", ""), op(3.5, 4, "read", "a") },
      { op(1, 5, "write", "a"), op(1, 5, "write", "b"), op(6, 7, "read", "a") },
      { op(1, 9, "write", "a"), op(2, 3, "write", "b"), op(4, 5, "read", "b"),
        op(6, 7, "read", "a") },
    } do assert.is_true((linear.check(history))) end
  end)

  it("refuses what has none", function()
    for _, history in ipairs {
      { op(1, 2, "read", "a") },
      { op(1, 2, "write", "a"), op(3, 4, "read", "") },
      { op(1, 2, "write", "a"), op(3, 4, "write", "b"), op(5, 6, "read", "a") },
      { op(1, 9, "write", "a"), op(2, 3, "read", "a"), op(4, 5, "read", "") },
      { op(1, 5, "write", "a"), op(1, 5, "write", "b"), op(6, 7, "read", "a"),
        op(8, 9, "read", "b") },
    } do assert.is_false((linear.check(history))) end
  end)
end)

-- As often as that the default layout is tried, and with crowds; the others less.
local function check_layout(layout, rounds, crowds)
  local a, b, data

  before_each(function()
    data = tool.tmpdir()
    a = pusher.registry(layout.options, { data = data, store = 'durability = "async"' })
    b = pusher.registry(layout.options, { data = data, store = 'durability = "async"' })
  end)

  after_each(function()
    if a then a:stop() end
    b:stop()
    tool.remove(data)
  end)

  local function chunk(g, method, path, text, first, last)
    return g:request(method, path, {
      body = text:sub(first + 1, last + 1),
      headers = { ["Content-Range"] = ("%d-%d"):format(first, last) },
    })
  end

  it("take the chunks of an upload in turns", function()
    local text = tool.bytes(700000, 3)
    for _, query in ipairs { "", layout.long and "?digest-algorithm=sha512" } do
      local digest = query == "" and tool.digest(text) or "sha512:" .. tool.sha512(text)
      local place = pusher.place(a:request("POST", "/v2/g/turns/blobs/uploads/" .. query))
      local servers = { b, a }
      for i = 0, 5 do
        local last = i * 100000 + 99999
        local reply = chunk(servers[i % 2 + 1], "PATCH", place, text, i * 100000, last)
        assert.equal(202, reply.status, reply.body)
        assert.equal("0-" .. last, reply.header("range"))
      end
      assert.equal(416, chunk(a, "PATCH", place, text, 0, 99999).status)
      local reply = chunk(b, "PUT", place .. "?digest=" .. digest, text, 600000, 699999)
      assert.equal(201, reply.status, reply.body)
      for _, g in ipairs { a, b } do
        assert.is_true(g:request("GET", "/v2/g/turns/blobs/" .. digest).body == text)
        assert.equal(404, g:request("GET", place).status)
      end
    end
  end)

  it("go on with an upload in turns when one of them is killed in the middle of a chunk", function()
    local text = tool.bytes(9000000, 5)
    local digest = tool.digest(text)
    local place = pusher.session(a, "g/killed")
    for i, g in ipairs { b, a, b } do
      local reply = chunk(g, "PATCH", place, text, (i - 1) * 1000000, i * 1000000 - 1)
      assert.equal(202, reply.status, reply.body)
    end
    local c = a:raw()
    c:send(wire.head("PATCH", place,
      { headers = { ["Content-Range"] = "3000000-8999999", ["Content-Length"] = 6000000 } }))
    c:send(text:sub(3000001, 8000000))
    assert.is_true(a:settles(function(files) -- some of it has reached the store
      for _, path in ipairs(files) do
        local at = data .. "/" .. path
        if path:find(layout.growing) and (lfs.attributes(at, "size") or 0) > 3000000 then
          return true
        end
      end
      return false
    end))
    a:signal(signal.SIGKILL)
    a:wait()
    assert.same({ how = "killed", code = signal.SIGKILL }, a.end_)
    c:close()
    a.strict = false
    a:stop()
    a = nil
    local reply = b:request("GET", place)
    assert.equal(204, reply.status)
    local last = tonumber(reply.header("range"):match("^0%-(%d+)$"))
    assert.is_true(last >= 2999999 and last < 8000000, "only what has come is counted")
    reply = chunk(b, "PATCH", place, text, 8000000, 8999999) -- the lost chunk's successor
    assert.equal(416, reply.status)
    assert.equal("0-" .. last, reply.header("range"))
    reply = chunk(b, "PATCH", place, text, last + 1, 8499999)
    assert.equal(202, reply.status, reply.body)
    assert.equal("0-8499999", reply.header("range"))
    reply = chunk(b, "PUT", place .. "?digest=" .. digest, text, 8500000, #text - 1)
    assert.equal(201, reply.status, reply.body)
    assert.equal("9000000",
      b:request("HEAD", "/v2/g/killed/blobs/" .. digest).header("content-length"))
    assert.is_true(b:request("GET", "/v2/g/killed/blobs/" .. digest).body == text)
    assert.equal(404, b:request("GET", place).status)
  end)

  it("let one of two appenders go on, and tell the other where", function()
    local text = tool.bytes(400000, 6)
    for _ = 1, 10 do
      local place = pusher.session(a, "g/both")
      local replies = crowd.run(2, function(i)
        local reply = chunk(i == 1 and a or b, "PATCH", place, text, 0, 399999)
        return { status = reply.status, range = reply.header("range") }
      end)
      local n = 0
      for _, reply in ipairs(replies) do
        if reply.status == 202 then
          n = n + 1
          assert.equal("0-399999", reply.range)
        else
          assert.equal(416, reply.status)
        end
      end
      assert.equal(1, n, "exactly one wins")
      local reply = a:request("PUT", place .. "?digest=" .. tool.digest(text))
      assert.equal(201, reply.status, reply.body)
    end
  end)

  -- As a client does that has lost an answer and asks again, or gives up meanwhile.
  it("end an upload once, however many ask for it, and never answer by a mistake", function()
    local long = tool.bytes(3000000, 8)
    for round = 1, rounds + 4 do
      local text = long .. round
      local algorithm = layout.long and round % 3 == 0 and "sha512" or "sha256"
      local digest = algorithm .. ":" .. tool[algorithm](text)
      local place = pusher.session(a, "g/end")
      assert.equal(202, a:request("PATCH", place, { body = text }).status)
      local cancels = round % 2 == 0
      local replies = crowd.run(4, function(i)
        local g = i % 2 == 0 and a or b
        local reply = cancels and i == 4 and g:request("DELETE", place)
          or g:request("PUT", place .. "?digest=" .. digest)
        return { status = reply.status, body = reply.body }
      end)
      local done = 0
      for i, reply in ipairs(replies) do
        if cancels and i == 4 then
          assert.is_true(reply.status == 204 or reply.status == 404, reply.body)
        elseif reply.status == 201 then
          done = done + 1
        else
          assert.equal(404, reply.status, reply.body)
          assert.is_truthy(reply.body:find("BLOB_UPLOAD_UNKNOWN", 1, true), reply.body)
        end
      end
      assert.is_true(cancels or done > 0)
      local got = b:request("GET", "/v2/g/end/blobs/" .. digest)
      assert.equal(done > 0 and 200 or 404, got.status)
      assert.is_true(done == 0 or got.body == text)
      assert.equal(404, a:request("GET", place).status)
    end
    assert.same({}, a:files(layout.below "g/end"))
  end)

  -- Pushes an image as containerd, docker or regclient do, and pulls it at once through the other
  -- gateway. Fails where a client would.
  local function push_and_pull(g, other, repo, tag, blobs, text, way)
    local function expect(status, reply, what)
      assert(reply.status == status, ("%s: %d %s"):format(what, reply.status, reply.body))
      return reply
    end
    for _, blob in ipairs(blobs) do
      local path = ("/v2/%s/blobs/%s"):format(repo, blob.digest)
      local head = g:request("HEAD", path)
      assert(head.status == 404 or head.status == 200, "HEAD")
      if head.status == 404 then
        local place = pusher.session(g, repo)
        if way == 1 then
          expect(202, other:request("PATCH", place, { chunked = { blob.text } }), "PATCH")
        elseif way == 2 then
          local half = math.floor(#blob.text / 2)
          expect(202, chunk(g, "PATCH", place, blob.text, 0, half - 1), "first half")
          expect(202, chunk(other, "PATCH", place, blob.text, half, #blob.text - 1), "second half")
        end
        expect(201, g:request("PUT", place .. "?digest=" .. blob.digest,
          { body = way ~= 1 and way ~= 2 and blob.text or nil }), "PUT")
      end
      head = expect(200, other:request("HEAD", path), "HEAD after the push")
      assert(head.header("content-length") == tostring(#blob.text), "a short blob")
    end
    expect(201, pusher.put_manifest(g, repo, tag, text), "manifest")
    assert(expect(200, other:request("GET", ("/v2/%s/manifests/%s"):format(repo, tag)),
      "manifest after the push").body == text)
    for _, blob in ipairs(blobs) do
      local path = ("/v2/%s/blobs/%s"):format(repo, blob.digest)
      assert(expect(200, other:request("GET", path), "blob after the push").body == blob.text)
    end
  end

  it("take one image from many clients at once, and show none of them a part of it", function()
    for round = 1, crowds do
      local blobs, layers = {}, {}
      for i, size in ipairs { 300, 70000, 600000 } do
        local text = tool.bytes(size + round, round * 10 + i)
        blobs[i] = { text = text, digest = tool.digest(text) }
        layers[i] = ('{"mediaType":"%s","size":%d,"digest":"%s"}')
          :format(pusher.LAYER, #text, blobs[i].digest)
      end
      local text = ('{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s,%s]}')
        :format(pusher.IMAGE, layers[1], layers[2], layers[3])
      crowd.run(CLIENTS, function(i)
        local g, other = a, b
        if i % 2 == 0 then g, other = b, a end
        push_and_pull(g, other, "g/crowd" .. round % 3, "v1", blobs, text, (i + round) % 4)
      end)
    end
    for round = 0, 2 do
      assert.same({}, a:files(layout.below("g/crowd" .. round)))
    end
  end)

  it("show a tag as one register: what is read has an order with what is written", function()
    local seed = crowd.seed()
    local repo, names = "g/linear", {}
    for i = 1, 6 do
      local text = ('{"mediaType":"%s","manifests":[],"annotations":{"n":"%d"}}')
        :format(pusher.INDEX, i)
      names[i] = { text = text, digest = tool.digest(text) }
    end
    for round = 1, math.ceil(rounds * 3 / 4) do
      local path = ("/v2/%s/manifests/t%d"):format(repo, round)
      local histories = crowd.run(5, function(i)
        math.randomseed(seed + round * 100 + i)
        local history = {}
        for n = 1, 14 do
          local g = math.random(2) == 1 and a or b
          local entry = { from = crowd.now() }
          local what = math.random(10)
          if what <= 4 then
            local m = names[math.random(#names)]
            local reply = g:request("PUT", path,
              { body = m.text, headers = { ["Content-Type"] = pusher.INDEX } })
            assert(reply.status == 201, reply.body)
            entry.write = m.digest
          elseif what == 5 then
            local reply = g:request("DELETE", path)
            assert(reply.status == 202 or reply.status == 404, reply.body)
            entry.write = "" -- whether there was one is not judged
          else
            local reply = g:request(what == 6 and "GET" or "HEAD", path)
            assert(reply.status == 200 or reply.status == 404, reply.body)
            entry.read = reply.status == 200 and reply.header("docker-content-digest") or ""
          end
          entry.to = crowd.now()
          history[n] = entry
        end
        return history
      end)
      local all = {}
      for _, history in ipairs(histories) do
        for _, entry in ipairs(history) do all[#all + 1] = entry end
      end
      local ok, best = linear.check(all)
      assert.is_true(ok, ("SEED=%d, round %d: %d of %d have an order")
        :format(seed, round, best, #all))
    end
  end)
end

for i, layout in ipairs(layouts) do
  describe(("two gateways on one store (layout: %s)"):format(layout.name), function()
    if i > 1 then return check_layout(layout, 3, 3) end
    check_layout(layout, 8, tool.sanitizer == "" and 50 or 8)
  end)
end
