-- SPDX-License-Identifier: Apache-2.0
--
-- Upload sessions in the form "parts", on the keys of the default layout: what lies in the store,
-- and what becomes of a session of which something is lost, damaged or left over.
local crowd = require "spec.crowd"
local json = require "dkjson"
local layouts = require "spec.layouts"
local pusher = require "spec.pusher"
local tool = require "spec.tool"
local wire = require "spec.wire"

local TEXT = tool.bytes(300000, 17)
local DIGEST = tool.digest(TEXT)
local REPO = "p/art"

local layout
for _, one in ipairs(layouts) do
  if one.name == "distribution in parts" then layout = one end
end

describe("an upload in parts", function()
  local g
  setup(function() g = pusher.registry(layout.options) end)
  teardown(function() g:stop() end)

  -- The folder of a session.
  local function folder_of(location)
    return ("%s/%s/%s/"):format(g.data, layout.below(REPO), location:match "[^/]+$")
  end

  local function record_of(location)
    return json.decode(assert(tool.read(folder_of(location) .. "record")))
  end

  -- A session with TEXT in three parts.
  local function in_three()
    local location = pusher.session(g, REPO)
    for i = 0, 2 do
      local first, last = i * 100000, i * 100000 + 99999
      local reply = g:request("PATCH", location, { body = TEXT:sub(first + 1, last + 1),
        headers = { ["Content-Range"] = ("%d-%d"):format(first, last) } })
      assert.same({ 202, "0-" .. last }, { reply.status, reply.header "range" })
    end
    return location
  end

  local function close(location, digest)
    return g:request("PUT", location .. "?digest=" .. (digest or DIGEST))
  end

  local function check_whole(location, digest, text)
    local reply = close(location, digest)
    assert.equal(201, reply.status, reply.body)
    assert.is_true(g:request("GET", ("/v2/%s/blobs/%s"):format(REPO, digest or DIGEST)).body
      == (text or TEXT))
    assert.same({}, g:files(layout.below(REPO)))
  end

  it("has an object for each body, and a record with sizes, checksums and the running state",
    function()
      local location = in_three()
      assert.same({ "1", "2", "3", "record" }, tool.files(folder_of(location)))
      local record = record_of(location)
      for i = 1, 3 do
        local part = tool.read(folder_of(location) .. i)
        assert.is_true(part == TEXT:sub(i * 100000 - 99999, i * 100000))
        assert.equal(100000, record.chunks[i].size)
        assert.matches("^%x%x%x%x%x%x%x%x$", record.chunks[i].crc32c)
      end
      assert.equal(300000 - 300000 % 64, record.hash_state.counter)
      check_whole(location)
    end)

  it("takes a digest of either algorithm", function()
    for _, digest in ipairs { DIGEST, "sha512:" .. tool.sha512(TEXT) } do
      check_whole(in_three(), digest)
      local location = pusher.session(g, REPO)
      g:request("PATCH", location, { body = TEXT:sub(1, 10) })
      local closing = location .. "?digest=" .. digest
      assert.equal(201, g:request("PUT", closing, { body = TEXT:sub(11) }).status)
      assert.equal(404, g:request("PUT", closing, { body = TEXT:sub(11) }).status)
    end
  end)

  it("is hashed again where the record has no state that can be read", function()
    for _, state in ipairs { json.null, {}, { hash = "!", counter = 0, buffer = "" },
      { hash = "AAAA", counter = 64, buffer = "" },
      { hash = ("A"):rep(43) .. "=", counter = 63, buffer = "" },
      { hash = ("A"):rep(43) .. "=", counter = 2 ^ 60, buffer = 7 } } do
      local location = in_three()
      local record = record_of(location)
      record.hash_state = state
      tool.write(folder_of(location) .. "record", json.encode(record))
      local reply = g:request("PATCH", location, { body = "more" })
      assert.same({ 202, "0-300003" }, { reply.status, reply.header "range" })
      check_whole(location, tool.digest(TEXT .. "more"), TEXT .. "more")
    end
  end)

  it("never becomes a blob when a part is not what came", function()
    for name, damage in pairs {
      flipped = function(text) return "x" .. text:sub(2) end,
      short = function(text) return text:sub(2) end,
      long = function(text) return text .. "x" end,
    } do
      for n = 1, 3 do
        local location = in_three()
        local path = folder_of(location) .. n
        tool.write(path, damage(tool.read(path)))
        local reply = close(location)
        assert.equal(400, reply.status, name)
        assert.equal("DIGEST_INVALID", (pusher.code(reply)))
        assert.equal(404, g:request("GET", location).status)
      end
    end
    assert(g:logged "damaged part of an upload")
  end)

  it("cannot be ended when a part is gone", function()
    local location = in_three()
    os.remove(folder_of(location) .. "2")
    assert.equal(416, close(location, tool.digest "unknown").status)
    assert.equal(204, g:request("DELETE", location).status)
    assert.same({}, g:files(layout.below(REPO)))
  end)

  it("is refused by name when its record is of a later version, and left as it is", function()
    local location = in_three()
    local path = folder_of(location) .. "record"
    local text = tool.read(path):gsub("^{", '{"_format": 2, ')
    tool.write(path, text)
    for _, method in ipairs { "GET", "PATCH", "DELETE" } do
      local reply = g:request(method, location, { body = method == "PATCH" and "x" or nil })
      assert.equal(501, reply.status)
      assert.matches("record: version 2 is newer than this program knows %(1%)", reply.body)
    end
    assert.equal(text, tool.read(path))
    tool.remove(folder_of(location))
  end)

  it("is unknown when its record is no record", function()
    for _, text in ipairs { "", "{", "[]", "{}", '{"chunks":[{"size":-1}]}', '{"chunks":[1]}',
      '{"chunks":[{"size":1e99}]}', '{"chunks":[{"size":0.5}]}' } do
      local location = pusher.session(g, REPO)
      tool.write(folder_of(location) .. "record", text)
      local reply = g:request("GET", location)
      assert.equal(404, reply.status, text)
      assert.equal("BLOB_UPLOAD_UNKNOWN", (pusher.code(reply)))
      tool.must("rm -r " .. folder_of(location))
    end
  end)

  it("goes on where the record says, over a part that somebody left without a word", function()
    local location = pusher.session(g, REPO)
    for i = 1, 3 do
      tool.write(folder_of(location) .. i, "left over") -- its maker was stopped
      local reply = g:request("GET", location)
      assert.equal("0-" .. math.max(i * 100000 - 100001, 0), reply.header "range")
      reply = g:request("PATCH", location, { body = TEXT:sub(i * 100000 - 99999, i * 100000) })
      assert.equal(202, reply.status, reply.body)
      assert.equal(i, record_of(location).epoch)
    end
    check_whole(location)
  end)

  it("does not take a part whose record somebody else has changed meanwhile", function()
    local location = pusher.session(g, REPO)
    local c = g:raw()
    c:send(wire.head("PATCH", location, { headers = { ["Content-Length"] = 1000 } }))
    c:send(TEXT:sub(1, 999))
    assert.equal(202, g:request("PATCH", location, { body = "first" }).status)
    c:send(TEXT:sub(1000, 1000))
    local reply = c:read_reply "PATCH"
    c:close()
    assert.same({ 416, "0-4" }, { reply.status, reply.header "range" })
    assert.equal("first", tool.read(folder_of(location) .. "1"))
    check_whole(location, tool.digest "first", "first")
  end)

  it("takes one of many that bring different bytes to one place through two gateways", function()
    local other = pusher.registry(layout.options, { data = g.data })
    local location, text = pusher.session(g, REPO), ""
    for round = 1, 12 do
      local pieces = {}
      for i = 1, 6 do pieces[i] = tool.bytes(2000 + i, round * 10 + i) end
      if round % 3 == 0 then tool.write(folder_of(location) .. round, "left over") end
      local replies = crowd.run(6, function(i)
        local reply = (i % 2 == 0 and g or other):request("PATCH", location, { body = pieces[i],
          headers = { ["Content-Range"] = ("%d-%d"):format(#text, #text + #pieces[i] - 1) } })
        return { status = reply.status, range = reply.header "range" }
      end)
      local won
      for i, reply in ipairs(replies) do
        assert.is_true(reply.status == 202 or reply.status == 416, reply.status)
        if reply.status == 202 then
          assert.is_nil(won, "exactly one wins")
          won = pieces[i]
          assert.equal("0-" .. #text + #won - 1, reply.range)
        end
      end
      text = text .. assert(won, "one wins")
    end
    check_whole(location, tool.digest(text), text)
    other:stop()
  end)

  it("leaves nothing when it is cancelled under an appender", function()
    local location = pusher.session(g, REPO)
    local c = g:raw()
    c:send(wire.head("PATCH", location, { headers = { ["Content-Length"] = 1000 } }))
    c:send(TEXT:sub(1, 999))
    assert.equal(204, g:request("DELETE", location).status)
    c:send(TEXT:sub(1000, 1000))
    assert.equal(404, c:read_reply("PATCH").status)
    c:close()
    assert.same({}, g:files(layout.below(REPO)))
  end)

  it("forgets a body that breaks off, and goes on before it", function()
    local location = pusher.session(g, REPO)
    assert.equal(202, g:request("PATCH", location, { body = TEXT:sub(1, 1000) }).status)
    local c = g:raw()
    c:send(wire.head("PATCH", location, { headers = { ["Content-Length"] = #TEXT - 1000 } }))
    c:send(TEXT:sub(1001, 200000))
    c:close()
    assert.equal("0-999", g:request("GET", location).header "range")
    local reply = g:request("PUT", location .. "?digest=" .. DIGEST, { body = TEXT:sub(1001) })
    assert.equal(201, reply.status, reply.body)
  end)

  it("may have more parts than a store joins at once, and not any number", function()
    local location = pusher.session(g, REPO)
    local chunks, text = {}, {}
    for i = 1, 2100 do
      text[i] = tostring(i)
      chunks[i] = { size = #text[i] }
      tool.write(folder_of(location) .. i, text[i])
    end
    tool.write(folder_of(location) .. "record", json.encode { chunks = chunks })
    text = table.concat(text)
    check_whole(location, tool.digest(text), text)

    location = pusher.session(g, REPO)
    for i = 1, 10000 do chunks[i] = { size = 1 } end
    tool.write(folder_of(location) .. "record", json.encode { chunks = chunks })
    local reply = g:request("PATCH", location, { body = "x" })
    assert.equal(413, reply.status)
    assert.equal("SIZE_INVALID", (pusher.code(reply)))
    assert.equal(204, g:request("DELETE", location).status)
  end)

  it("is nobody else's", function()
    local location = in_three()
    for _, path in ipairs { (location:gsub("/p/art/", "/p/other/")), (location:gsub("%-", "")) } do
      assert.equal(404, g:request("GET", path).status, path)
    end
    check_whole(location)
  end)

  it("is not what the option http_secret is for", function()
    local ok, why = pcall(pusher.registry, 'http_secret = "x",' .. layout.options)
    assert.is_false(ok)
    assert.truthy(why:find("'http_secret' is for a layout that keeps uploads as", 1, true), why)
  end)
end)

describe("a layout", function()
  it("names forms that there are", function()
    for field, name in pairs { form = "chains", uploads = "clouds" } do
      local ok, why = pcall(pusher.registry, ('layout = { %s = "%s" },'):format(field, name))
      assert.is_false(ok)
      assert.truthy(why:find(("option 'layout': its '%s' cannot be \"%s\""):format(field, name),
        1, true), why)
    end
  end)
end)

