-- SPDX-License-Identifier: Apache-2.0
local lfs = require "lfs"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

-- Byte order, with all that sorts differently when names are folders.
local TAGS = {
  "1.0", "1.0-rc", "A", "_x", "a", "a-", "a-b", "a-b-c", "a-b.c", "a.b", "a.b-", "a0", "a_", "aa",
  "b-1", "b.1", "c", "c-", "c-1", "v1", "v1.0", "v1.0.0", "v1.0.0-rc.1",
}

describe("tags", function()
  local g

  setup(function()
    g = pusher.registry()
    local text = pusher.image_text(g, "t/all")
    for i = #TAGS, 1, -1 do pusher.put_manifest(g, "t/all", TAGS[i], text) end
  end)

  teardown(function() g:stop() end)

  local function list(path)
    local reply = g:request("GET", path)
    assert.equal(200, reply.status, reply.body)
    local doc = pusher.decode(reply.body)
    local link = reply.header("link")
    return doc.tags or doc.repositories, link and link:match('^<(.-)>; rel="next"$'), reply, doc
  end

  it("are listed in byte order", function()
    local tags, link, reply, doc = list("/v2/t/all/tags/list")
    assert.same(TAGS, tags)
    assert.is_nil(link)
    assert.equal("t/all", doc.name)
    assert.equal("application/json", reply.header("content-type"))
  end)

  it("come in pages of every size, linked by relative addresses", function()
    for n = 1, #TAGS + 1 do
      local seen, path = {}, "/v2/t/all/tags/list?n=" .. n
      while path do
        local page, link = list(path)
        assert.is_true(#page == n or not link, "only the last page may be short")
        for _, tag in ipairs(page) do seen[#seen + 1] = tag end
        path = link
      end
      assert.same(TAGS, seen, "n=" .. n)
    end
  end)

  it("go on behind any name, existing or not", function()
    for _, last in ipairs { "", "0", "a", "a-", "a-b", "a.", "a.zzz", "b", "v1.0.0-rc", "z" } do
      local expected = {}
      for _, tag in ipairs(TAGS) do
        if tag > last then expected[#expected + 1] = tag end
      end
      assert.same(expected, (list("/v2/t/all/tags/list?last=" .. last)), last)
    end
  end)

  it("are none, without a link, when none are asked for", function()
    local tags, link, reply = list("/v2/t/all/tags/list?n=0")
    assert.same({}, tags)
    assert.is_nil(link)
    assert.is_truthy(reply.body:find('"tags":[]', 1, true))
  end)

  it("refuse a number that is none", function()
    for _, n in ipairs { "-1", "x", "1.5", "", "1e3" } do
      local reply = g:request("GET", "/v2/t/all/tags/list?n=" .. n)
      assert.equal(400, reply.status, n)
      assert.equal("PAGINATION_NUMBER_INVALID", (pusher.code(reply)))
    end
    assert.same(TAGS, (list("/v2/t/all/tags/list?n=99999999999999999999")))
  end)

  it("come by a thousand at most, with a link, however many are asked for", function()
    local digest = pusher.image(g, "t/many", "t0000")
    local below = g.data .. "/docker/registry/v2/repositories/t/many/_manifests/tags/"
    for i = 1, 1200 do
      local tag = ("%st%04d"):format(below, i)
      lfs.mkdir(tag)
      lfs.mkdir(tag .. "/current")
      tool.write(tag .. "/current/link", digest)
    end
    for _, query in ipairs { "", "?n=1001", "?n=99999999999999999999" } do
      local first, link = list("/v2/t/many/tags/list" .. query)
      assert.equal(1000, #first)
      assert.equal("/v2/t/many/tags/list?n=1000&last=t0999", link)
      local rest, none = list(link)
      assert.same({ 201, "t1000", "t1200" }, { #rest, rest[1], rest[201] })
      assert.is_nil(none)
    end
  end)

  it("are unknown of a repository that is", function()
    for _, repo in ipairs { "t/none", "t" } do
      local reply = g:request("GET", ("/v2/%s/tags/list"):format(repo))
      assert.equal(404, reply.status)
      assert.equal("NAME_UNKNOWN", (pusher.code(reply)))
    end
  end)

  it("are none, and never null, when all are deleted", function()
    pusher.image(g, "t/bare", "v1")
    g:request("DELETE", "/v2/t/bare/manifests/v1")
    local _, _, reply = list("/v2/t/bare/tags/list")
    assert.is_truthy(reply.body:find('"tags":[]', 1, true))
  end)

  it("belong to repositories, which are listed by components", function()
    local repos = { "c/a", "c/a/b", "c/a/b-c", "c/a-b", "c/b", "t/all", "t/bare", "t/many" }
    for _, repo in ipairs { "c/b", "c/a-b", "c/a/b-c", "c/a", "c/a/b" } do
      pusher.image(g, repo, "v1")
    end
    for _, repo in ipairs { "t/bare", "t/many" } do pusher.image(g, repo, "v1") end
    pusher.blob(g, "c/only-blobs", "x")
    for n = 1, #repos + 1 do
      local seen, path = {}, "/v2/_catalog?n=" .. n
      while path do
        local page, link = list(path)
        for _, repo in ipairs(page) do seen[#seen + 1] = repo end
        path = link
      end
      assert.same(repos, seen, "n=" .. n)
    end
    assert.same(repos, (list("/v2/_catalog")))
  end)
end)
