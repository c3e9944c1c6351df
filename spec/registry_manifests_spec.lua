-- SPDX-License-Identifier: Apache-2.0
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local MISSING = "sha256:" .. ("0"):rep(64)

describe("manifests", function()
  local g

  setup(function() g = pusher.registry() end)
  teardown(function() g:stop() end)

  local function call(method, repo, ref, headers)
    local path = ("/v2/%s/manifests/%s"):format(repo, ref)
    return g:request(method, path, { headers = headers })
  end

  local function check_refused(reply, status, code)
    assert.equal(status, reply.status, reply.body)
    local got, detail = pusher.code(reply)
    assert.equal(code, got, reply.body)
    return detail
  end

  it("are kept byte by byte, by tag and by digest", function()
    local text = pusher.image_text(g, "m/one") .. "\n \n"
    local digest = tool.digest(text)
    local reply = pusher.put_manifest(g, "m/one", "v1", text)
    assert.equal(201, reply.status, reply.body)
    assert.equal("/v2/m/one/manifests/" .. digest, reply.header("location"))
    assert.equal(digest, reply.header("docker-content-digest"))
    for _, ref in ipairs { "v1", digest } do
      reply = call("GET", "m/one", ref, { Accept = { "text/plain", "a/b" } })
      assert.equal(200, reply.status)
      assert.equal(text, reply.body)
      assert.equal(pusher.IMAGE, reply.header("content-type"))
      assert.equal(digest, reply.header("docker-content-digest"))
      assert.equal('"' .. digest .. '"', reply.header("etag"))
      local head = call("HEAD", "m/one", ref)
      reply.headers.date, head.headers.date = nil, nil
      assert.same(reply.headers, head.headers)
      assert.equal("", head.body)
      local again = call("GET", "m/one", ref, { ["If-None-Match"] = '"' .. digest .. '"' })
      assert.equal(304, again.status)
    end
  end)

  it("show their type also to a gateway that has not seen them pushed", function()
    local digest = pusher.image(g, "m/fresh", "v1", 5)
    local other = pusher.registry("", { data = g.data })
    local reply = other:request("GET", "/v2/m/fresh/manifests/v1")
    assert.equal(pusher.IMAGE, reply.header("content-type"))
    assert.equal(digest, reply.header("docker-content-digest"))
    other:stop()
  end)

  it("follow a tag that moves", function()
    local first = pusher.image(g, "m/move", "v1", 1)
    local second = pusher.image(g, "m/move", "v1", 2)
    assert.equal(second, call("HEAD", "m/move", "v1").header("docker-content-digest"))
    assert.equal(200, call("HEAD", "m/move", first).status)
  end)

  it("are stored as the distribution registry stores them", function()
    local digest, text = pusher.image(g, "m/form", "v1", 6)
    local hex = digest:sub(8)
    local v2 = g.data .. "/docker/registry/v2/"
    local repo = v2 .. "repositories/m/form/_manifests/"
    assert.equal(text, tool.read(v2 .. "blobs/sha256/" .. hex:sub(1, 2) .. "/" .. hex .. "/data"))
    for _, path in ipairs {
      "revisions/sha256/" .. hex, "tags/v1/current", "tags/v1/index/sha256/" .. hex,
    } do
      assert.equal(digest, tool.read(repo .. path .. "/link"))
    end
  end)

  it("are unknown under other names", function()
    pusher.image(g, "m/known", "v1", 1)
    for _, case in ipairs { { "m/known", "v2" }, { "m/known", MISSING }, { "m/none", "v1" } } do
      local detail = check_refused(call("GET", case[1], case[2]), 404, "MANIFEST_UNKNOWN")
      assert.same({ reference = case[2] }, detail)
      assert.equal(404, call("HEAD", case[1], case[2]).status)
      assert.equal(404, call("DELETE", case[1], case[2]).status)
    end
  end)

  it("are refused when their digest is another", function()
    local text = pusher.image_text(g, "m/digest")
    check_refused(pusher.put_manifest(g, "m/digest", MISSING, text), 400, "DIGEST_INVALID")
    check_refused(pusher.put_manifest(g, "m/digest", "sha256:bad", text), 400, "DIGEST_INVALID")
    check_refused(call("GET", "m/digest", "sha256:bad"), 400, "DIGEST_INVALID")
    check_refused(call("GET", "m/digest", "-bad"), 400, "TAG_INVALID")
    check_refused(pusher.put_manifest(g, "m/digest", ("t"):rep(129), text), 400, "TAG_INVALID")
  end)

  it("are taken by their digest, SHA-512 too", function()
    local text = pusher.image_text(g, "m/by", 9)
    for _, digest in ipairs { tool.digest(text), "sha512:" .. tool.sha512(text) } do
      local reply = pusher.put_manifest(g, "m/by", digest, text)
      assert.equal(201, reply.status)
      assert.equal(digest, reply.header("docker-content-digest"))
      assert.equal("/v2/m/by/manifests/" .. digest, reply.header("location"))
      reply = call("GET", "m/by", digest)
      assert.equal(text, reply.body)
      assert.equal(digest, reply.header("docker-content-digest"))
    end
    assert.equal(202, call("DELETE", "m/by", "sha512:" .. tool.sha512(text)).status)
    assert.equal(404, call("HEAD", "m/by", tool.digest(text)).status)
  end)

  it("get the tags that are asked for beside their digest, by that digest", function()
    local text = pusher.image_text(g, "m/tags", 12)
    for _, digest in ipairs { tool.digest(text), "sha512:" .. tool.sha512(text) } do
      local reply = pusher.put_manifest(g, "m/tags", digest .. "?tag=a&tag=b.1&tag=a", text)
      assert.equal(201, reply.status, reply.body)
      assert.equal(2, reply.count("oci-tag"))
      assert.equal("a, b.1", reply.header("oci-tag"))
      assert.equal(digest, reply.header("docker-content-digest"))
      for _, tag in ipairs { "a", "b.1" } do
        reply = call("GET", "m/tags", tag)
        assert.equal(text, reply.body)
        assert.equal(digest, reply.header("docker-content-digest"))
      end
    end
    local moved = pusher.image(g, "m/tags", "a", 13)
    assert.equal(moved, call("HEAD", "m/tags", "a").header("docker-content-digest"))
    assert.equal(202, call("DELETE", "m/tags", tool.digest(text)).status)
    assert.equal(404, call("HEAD", "m/tags", "b.1").status)
    local list = g:request("GET", "/v2/m/tags/tags/list").body
    assert.same({ "a" }, pusher.decode(list).tags)
  end)

  it("get none of their tags when one is none, or there are too many", function()
    local text = pusher.image_text(g, "m/tags2", 12)
    local many = {}
    for i = 1, 21 do many[i] = "tag=t" .. i end
    local cases = {
      { "?tag=good&tag=-bad", 400 }, { "?tag=good&tag=", 400 }, { "?tag=good&tag=a%2Fb", 400 },
      { "?" .. table.concat(many, "&"), 414 },
    }
    for _, case in ipairs(cases) do
      local reply = pusher.put_manifest(g, "m/tags2", tool.digest(text) .. case[1], text)
      check_refused(reply, case[2], "TAG_INVALID")
    end
    assert.equal(404, call("HEAD", "m/tags2", "good").status)
    many[21] = nil
    local path = tool.digest(text) .. "?" .. table.concat(many, "&")
    local reply = pusher.put_manifest(g, "m/tags2", path, text)
    assert.equal(201, reply.status, reply.body)
    assert.equal(20, reply.count("oci-tag"))
    reply = pusher.put_manifest(g, "m/tags2", "v1?tag=other", text)
    assert.equal(201, reply.status)
    assert.equal(0, reply.count("oci-tag"))
    assert.equal(404, call("HEAD", "m/tags2", "other").status)
  end)

  it("lose tags of a SHA-512 name when that name goes, too", function()
    local text = pusher.image_text(g, "m/tags3", 12)
    local digest = "sha512:" .. tool.sha512(text)
    pusher.put_manifest(g, "m/tags3", digest .. "?tag=a", text)
    assert.equal(202, call("DELETE", "m/tags3", digest).status)
    for _, ref in ipairs { "a", digest, tool.digest(text) } do
      assert.equal(404, call("HEAD", "m/tags3", ref).status)
    end
  end)

  it("need their blobs to be there, except those that can be had elsewhere", function()
    local config = pusher.blob(g, "m/refs", "{}", pusher.CONFIG)
    local missing = { mediaType = pusher.LAYER, digest = MISSING, size = 1 }
    local function put(layers, c)
      return pusher.put_manifest(g, "m/refs", "v1", json.encode {
        schemaVersion = 2, mediaType = pusher.IMAGE, config = c or config,
        layers = setmetatable(layers, { __jsontype = "array" }),
      })
    end
    local detail = check_refused(put { missing }, 404, "MANIFEST_BLOB_UNKNOWN")
    assert.same({ digest = MISSING }, detail)
    check_refused(put({}, missing), 404, "MANIFEST_BLOB_UNKNOWN")
    assert.equal(201, put({}).status)
    missing.urls = { "https://example.com/layer" }
    assert.equal(201, put { missing }.status)
    missing.urls = setmetatable({}, { __jsontype = "array" })
    check_refused(put { missing }, 404, "MANIFEST_BLOB_UNKNOWN")
  end)

  it("need their blobs as artifacts of before OCI 1.1, too", function()
    local kind = "application/vnd.oci.artifact.manifest.v1+json"
    local there = pusher.blob(g, "m/old", "sbom").digest
    for digest, status in pairs { [there] = 201, [MISSING] = 404 } do
      local text = ('{"mediaType":"%s","artifactType":"a/b","blobs":[{"digest":"%s","size":4}]}')
        :format(kind, digest)
      local reply = pusher.put_manifest(g, "m/old", "v1", text, kind)
      if status == 404 then
        assert.same({ digest = MISSING }, check_refused(reply, 404, "MANIFEST_BLOB_UNKNOWN"))
      else
        assert.equal(201, reply.status, reply.body)
      end
    end
    check_refused(pusher.put_manifest(g, "m/old", "v1",
      ('{"mediaType":"%s","blobs":[{"digest":"x"}]}'):format(kind), kind), 400, "MANIFEST_INVALID")
    assert.equal(kind, call("GET", "m/old", "v1").header("content-type"))
  end)

  it("may have no layers, empty content, and fields that nobody knows", function()
    local nothing = pusher.blob(g, "m/bare", "", "application/vnd.example.empty")
    nothing.data = ""
    for i, more in ipairs {
      '"layers":[]', '"layers":null', '"layers":[],"manifests":null', '"subject":null,"x":{"y":[]}',
    } do
      local text = ('{"schemaVersion":2,"mediaType":"%s","config":%s,%s}'):format(pusher.IMAGE,
        json.encode(nothing), more)
      assert.equal(201, pusher.put_manifest(g, "m/bare", "v" .. i, text).status, more)
      assert.equal(text, call("GET", "m/bare", "v" .. i).body)
    end
  end)

  it("may be indexes, empty, nested or of manifests that are not here", function()
    local child = { mediaType = pusher.IMAGE, digest = MISSING, size = 1 }
    for i, list in ipairs { {}, { child }, { child, child } } do
      local text = json.encode {
        schemaVersion = 2, mediaType = pusher.INDEX,
        manifests = setmetatable(list, { __jsontype = "array" }),
      }
      assert.equal(201, pusher.put_manifest(g, "m/index", "v" .. i, text, pusher.INDEX).status)
      local reply = call("GET", "m/index", "v" .. i)
      assert.equal(text, reply.body)
      assert.equal(pusher.INDEX, reply.header("content-type"))
    end
  end)

  it("show their type by what they say, or by their shape", function()
    pusher.blob(g, "m/type", "{}")
    local config = ('{"digest":"%s","size":2,"mediaType":"a/b"}'):format(tool.digest("{}"))
    local other = "application/vnd.example.thing+json"
    local cases = { -- body, Content-Type of the PUT (false: none), type served (nil: refused)
      { '{"config":' .. config .. ',"layers":[]}', pusher.IMAGE, pusher.IMAGE },
      { '{"config":' .. config .. ',"layers":null}', false, pusher.IMAGE },
      { '{"manifests":[]}', false, pusher.INDEX },
      { '{"manifests":[]}', pusher.INDEX .. "; charset=utf-8", pusher.INDEX },
      { '{"mediaType":"' .. other .. '"}', other, other },
      { '{"mediaType":"' .. other .. '","x":1,"layers":[]}', false, other },
      { '{"manifests":[]}', pusher.IMAGE },
      { '{"mediaType":"' .. pusher.IMAGE .. '","layers":[]}', pusher.INDEX },
      { '{"mediaType":"' .. pusher.IMAGE .. '","layers":[],"manifests":[]}', pusher.IMAGE },
      { '{"layers":[],"manifests":[]}', false },
      { '{"mediaType":"a/b\\r\\nX: y"}', false },
      { '{"mediaType":7}', false },
      { "{}", "application/json" },
    }
    for i, case in ipairs(cases) do
      local path = ("/v2/m/type/manifests/t%d"):format(i)
      local reply = g:request("PUT", path, {
        body = case[1], headers = { ["Content-Type"] = case[2] or nil },
      })
      if case[3] then
        assert.equal(201, reply.status, case[1])
        assert.equal(case[3], call("GET", "m/type", "t" .. i).header("content-type"))
      else
        check_refused(reply, 400, "MANIFEST_INVALID")
      end
    end
  end)

  it("are refused when they are no manifest", function()
    local digest = tool.digest("x")
    for _, body in ipairs {
      "", "x", "{", "[]", "null", '"text"', '{"a":1,"a":2}', "\255\254", '{"a":"\255"}',
      ("["):rep(100000), '{"layers":7}', '{"layers":{"a":1}}', '{"layers":[7]}',
      '{"layers":[{"digest":7}]}', '{"layers":[{"digest":"x"}]}',
      '{"config":{"digest":"sha256:../../x"}}', '{"manifests":[{}]}',
      '{"manifests":[{"digest":"' .. digest:upper() .. '"}]}',
    } do
      local path = "/v2/m/bad/manifests/v1"
      local reply = g:request("PUT", path, { body = body })
      check_refused(reply, 400, "MANIFEST_INVALID")
    end
    assert.equal(404, call("HEAD", "m/bad", "v1").status)
  end)

  it("are taken up to 4 MiB, and refused with 413 above", function()
    local function padded(size)
      local head = '{"manifests":[],"annotations":{"a":"'
      return head .. ("x"):rep(size - #head - 3) .. '"}}'
    end
    local limit = 4 * 1024 * 1024
    local fits = padded(limit)
    assert.equal(201, pusher.put_manifest(g, "m/big", "v1", fits, pusher.INDEX).status)
    assert.is_true(call("GET", "m/big", "v1").body == fits)
    local reply = pusher.put_manifest(g, "m/big", "v2", padded(limit + 1), pusher.INDEX)
    check_refused(reply, 413, "SIZE_INVALID")
    reply = g:request("PUT", "/v2/m/big/manifests/v2", { chunked = { fits, " " } })
    check_refused(reply, 413, "SIZE_INVALID")
    assert.equal(404, call("HEAD", "m/big", "v2").status)
  end)

  it("take all their tags along when they are deleted", function()
    local text = pusher.image_text(g, "m/del", 3)
    local digest = tool.digest(text)
    for _, tag in ipairs { "a", "b" } do pusher.put_manifest(g, "m/del", tag, text) end
    local kept = pusher.image(g, "m/del", "c", 4)
    assert.equal(202, call("DELETE", "m/del", digest).status)
    for _, ref in ipairs { "a", "b", digest } do
      assert.equal(404, call("HEAD", "m/del", ref).status, ref)
    end
    assert.equal(kept, call("HEAD", "m/del", "c").header("docker-content-digest"))
    assert.equal(404, call("DELETE", "m/del", digest).status)
  end)

  it("stay when a tag of theirs is deleted", function()
    local text = pusher.image_text(g, "m/untag", 3)
    for _, tag in ipairs { "a", "b" } do pusher.put_manifest(g, "m/untag", tag, text) end
    assert.equal(202, call("DELETE", "m/untag", "a").status)
    assert.equal(404, call("HEAD", "m/untag", "a").status)
    assert.equal(200, call("HEAD", "m/untag", "b").status)
    assert.equal(200, call("HEAD", "m/untag", tool.digest(text)).status)
    assert.equal(404, call("DELETE", "m/untag", "a").status)
  end)

  it("work in repositories with names that look like paths of the protocol", function()
    for _, repo in ipairs {
      "blobs", "tags/list", "manifests/x", "a/blobs/uploads", "v2", "a/manifests",
    } do
      local digest = pusher.image(g, repo, "v1")
      assert.equal(digest, call("HEAD", repo, "v1").header("docker-content-digest"))
    end
  end)
end)
