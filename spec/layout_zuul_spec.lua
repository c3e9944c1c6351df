-- SPDX-License-Identifier: Apache-2.0
--
-- The layout "zuul": the directory of zuul-registry 1.3.0, as that one wrote it. What the registry
-- does in general the other specs show; exchange_zuul_spec.lua runs both registries at once.
local crowd = require "spec.crowd"
local json = require "dkjson"
local layout = require "layouts.zuul"
local pusher = require "spec.pusher"
local recorded = require "spec.zuul_tree"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"
local OPTIONS = 'layout = require "layouts.zuul",'
local HEX = ("0123456789abcdef"):rep(4)
local ANY = "sha256:" .. HEX

local OCI, DOCKER = recorded.OCI, recorded.DOCKER
local CONFIG_DIGEST, LAYER, LAYER_DIGEST = recorded.CONFIG_DIGEST, recorded.LAYER,
  recorded.LAYER_DIGEST
local UPLOAD, ID, TEXTS, DIGESTS = recorded.UPLOAD, recorded.ID, recorded.TEXTS, recorded.DIGESTS
local BLOBS, REPO, TREE = recorded.BLOBS, recorded.REPO, recorded.TREE
local get, tree_of, push_recorded = recorded.get, recorded.tree_of, recorded.push

describe("the names of the layout zuul", function()
  local keys = {
    { "blob", { ANY, "a/b" }, "_local/blobs/" .. ANY .. "/data", "a/blobs/" .. ANY .. "/data" },
    { "below", { "a/b" }, "_local/repos/a/b/", "a/repos/b/" },
    { "below", {}, "_local/repos/", "" },
    { "tags", { "a/b" }, "_local/repos/a/b/manifests/", "a/repos/b/manifests/" },
    { "record", { "a/b", "v1" }, "_local/repos/a/b/manifests/v1", "a/repos/b/manifests/v1" },
    { "record", { "a", "v1" }, "_local/repos/a/manifests/v1", "a/repos/manifests/v1" },
    { "record", { "a/b", ANY }, "_local/repos/a/b/manifests/" .. ANY,
      "a/repos/b/manifests/" .. ANY },
    { "upload_record", { "a/b", ID }, "_local/uploads/" .. ID .. "/metadata",
      "a/uploads/" .. ID .. "/metadata" },
    { "upload_part", { "a/b", ID, 12 }, "_local/uploads/" .. ID .. "/12",
      "a/uploads/" .. ID .. "/12" },
    { "referrer", { "a/b", ANY, ANY },
      "_local/referrers/a/b/_sha256/" .. HEX .. "/of/sha256/" .. HEX,
      "a/referrers/b/_sha256/" .. HEX .. "/of/sha256/" .. HEX },
    { "session_id", { "e8a70f1b-ebb0-4bf5-a68c-26ef938a141b" }, ID, ID },
  }

  it("are zuul-registry's", function()
    for _, key in ipairs(keys) do
      assert.equal(key[3], layout[key[1]](unpack(key[2])))
      assert.equal(key[4], layout.namespaced[key[1]](unpack(key[2])))
    end
  end)

  it("can be read the other way round", function()
    for _, one in ipairs { layout, layout.namespaced } do
      for _, repo in ipairs { "a", "a/b", "a/b/c" } do
        for _, name in ipairs { "v1", "manifests", ANY } do
          assert.same({ "record", repo, name }, { one.meaning(one.record(repo, name)) })
        end
        assert.same({ "blob", ANY }, { one.meaning(one.blob(ANY, repo)) })
        assert.same({ "upload", ID }, { one.meaning(one.upload_record(repo, ID)) })
      end
    end
    for _, key in ipairs { "_local/uploads/x/1", "other/blobs/x/data", "_local/x", "x" } do
      assert.is_nil((layout.meaning(key)))
    end
  end)

  it("tell a repository from a tag", function()
    for repo, takes in pairs { ["a/manifests"] = false, manifests = false,
      ["a/manifests/b"] = false, ["a/manifest"] = true, ["manifests-a"] = true } do
      assert.equal(takes, layout.takes(repo), repo)
    end
  end)
end)

describe("a directory of zuul-registry", function()
  local g, folder

  before_each(function()
    folder = tool.tmpdir()
    recorded.plant(folder)
    g = pusher.registry(OPTIONS, { data = folder })
  end)

  after_each(function()
    g:stop()
    tool.remove(folder)
  end)

  it("is served: tags by what the client accepts, digests, blobs and lists", function()
    for _, case in ipairs {
      { OCI, OCI }, { DOCKER, DOCKER }, { OCI .. ", " .. DOCKER, DOCKER }, { nil, DOCKER },
      { "a/b;q=0.5," .. OCI .. ";q=0.1", OCI }, { "*/*", DOCKER }, { "text/html", DOCKER },
      { (","):rep(4000) .. OCI, OCI },
    } do
      for _, method in ipairs { "GET", "HEAD" } do
        local reply = get(g, "ci/app", "v1", case[1], method)
        assert.same({ 200, case[2], DIGESTS[case[2]], "Accept" }, { reply.status,
          reply.header "content-type", reply.header "docker-content-digest", reply.header "vary" })
        assert.equal(method == "GET" and TEXTS[case[2]] or "", reply.body)
      end
    end
    for media_type, digest in pairs(DIGESTS) do -- whatever is accepted, and recorded or not
      local reply = get(g, "ci/app", digest, "x/y")
      assert.same({ 200, media_type, TEXTS[media_type] },
        { reply.status, reply.header "content-type", reply.body })
    end
    assert.equal(LAYER, g:request("GET", "/v2/ci/app/blobs/" .. LAYER_DIGEST).body)
    assert.same({ name = "ci/app", tags = { "v1" } },
      pusher.decode(g:request("GET", "/v2/ci/app/tags/list").body))
    assert.same({ repositories = { "ci/app" } },
      pusher.decode(g:request("GET", "/v2/_catalog").body))
    assert.same(TREE, tree_of(folder))
  end)

  it("has its upload finished, without a look at what came before", function()
    local path = "/v2/ci/app/blobs/uploads/" .. ID
    local reply = g:request("GET", path)
    assert.same({ 204, "0-99" }, { reply.status, reply.header "range" })
    local text = UPLOAD .. "and more"
    reply = g:request("PUT", path .. "?digest=" .. tool.digest(text), { body = "and more" })
    assert.equal(201, reply.status, reply.body)
    local tree = tree_of(folder)
    assert.equal(text, tree[BLOBS .. tool.digest(text) .. "/data"])
    assert.is_nil(tree["_local/uploads/" .. ID .. "/metadata"])
  end)

  it("is found whole by verify, or not", function()
    local function verify()
      local ok, out = g:command("verify " .. tool.quote(g.path))
      return ok, out
    end
    local ok, out = verify()
    assert.is_true(ok, out)
    assert.truthy(out:find("4 blobs", 1, true) and out:find("2 records", 1, true), out)
    tool.write(folder .. "/" .. BLOBS .. LAYER_DIGEST .. "/data", "lager")
    os.remove(folder .. "/" .. BLOBS .. CONFIG_DIGEST .. "/data")
    os.remove(folder .. "/" .. BLOBS .. DIGESTS[DOCKER] .. "/data")
    tool.write(folder .. "/" .. REPO .. "torn", '{"a')
    ok, out = verify()
    assert.is_false(ok)
    for _, fault in ipairs { "corrupt", "incomplete manifest", "dangling tag", "damaged record" } do
      assert.truthy(out:find(fault .. ":", 1, true), out)
    end
    ok, out = g:command("usage " .. tool.quote(g.path))
    assert.is_false(ok)
    assert.truthy(out:find("can be asked for its usage", 1, true), out)
  end)
end)

describe("the layout zuul", function()
  local g
  setup(function() g = pusher.registry(OPTIONS) end)
  teardown(function() g:stop() end)

  it("is written as zuul-registry writes it", function()
    push_recorded(g)
    local location = pusher.session(g, "ci/app")
    assert.matches("/[0-9a-f]+$", location)
    assert.equal(202, g:request("PATCH", location, { body = UPLOAD }).status)
    local tree, id = {}, location:match "[^/]+$"
    for name, text in pairs(tree_of(g.data)) do
      tree[(name:gsub(id, ID))] = text:gsub(', "crc32c": "%x+"', "")
    end
    -- the order of two names in a record is nobody's business
    local want = {}
    for name, text in pairs(TREE) do want[name] = text end
    assert.same(json.decode(want[REPO .. "v1"]), json.decode(tree[REPO .. "v1"]))
    want[REPO .. "v1"], tree[REPO .. "v1"] = nil, nil
    assert.same(want, tree)
    assert.equal(204, g:request("DELETE", location).status)
  end)

  it("writes a running state as Python breaks its lines", function()
    local location = pusher.session(g, "z/state")
    assert.equal(202, g:request("PATCH", location, { body = ("y"):rep(63) }).status)
    local text = g.data .. "/_local/uploads/" .. location:match "[^/]+$" .. "/metadata"
    local record = json.decode(tool.read(text))
    assert.equal(("eXl5"):rep(19) .. "\n" .. ("eXl5"):rep(2) .. "\n", record.hash_state.buffer)
    assert.equal("agnmZ7tnroU8bvNypU/1OlEOUn+bBWiMH4PZq1vgzRk=\n", record.hash_state.hash)
    local reply = g:request("PUT", location .. "?digest=" .. tool.digest(("y"):rep(64)),
      { body = "y" })
    assert.equal(201, reply.status, reply.body)
  end)

  it("loses no media type of a tag, whoever pushes at the same moment", function()
    local n = 12
    local texts = {}
    for i = 1, n do
      texts[i] = ('{"mediaType":"application/vnd.x.%d+json","layers":[]}'):format(i)
    end
    local other = pusher.registry(OPTIONS, { data = g.data })
    for round = 1, 3 do
      local path = "/v2/z/types/manifests/t" .. round
      local replies = crowd.run(n, function(i)
        local reply = (i % 2 == 0 and g or other):request("PUT", path, { body = texts[i] })
        return { status = reply.status, body = reply.body }
      end)
      for _, reply in ipairs(replies) do assert.equal(201, reply.status, reply.body) end
      local record = {}
      for i = 1, n do
        record[("application/vnd.x.%d+json"):format(i)] = tool.digest(texts[i])
      end
      local key = g.data .. "/_local/repos/z/types/manifests/t" .. round
      assert.same(record, json.decode(tool.read(key)))
      assert.equal(texts[7],
        get(g, "z/types", "t" .. round, "application/vnd.x.7+json").body)
    end
    other:stop()
  end)

  it("takes one media type off a tag, and the tag with the last one", function()
    push_recorded(g)
    local function delete(digest)
      return g:request("DELETE", "/v2/ci/app/manifests/" .. digest).status
    end
    assert.equal(202, delete(DIGESTS[DOCKER]))
    assert.equal(404, get(g, "ci/app", DIGESTS[DOCKER]).status)
    assert.equal(404, delete(DIGESTS[DOCKER]))
    assert.equal(DIGESTS[OCI], get(g, "ci/app", "v1", DOCKER).header "docker-content-digest")
    assert.equal(202, delete(DIGESTS[OCI]))
    assert.equal(404, get(g, "ci/app", "v1").status)
    assert.same({}, pusher.decode(g:request("GET", "/v2/ci/app/tags/list").body).tags)
    -- of the repository; what others have of the same content they keep
    assert.equal(200, get(g, "ci/other", DIGESTS[OCI]).status)
    push_recorded(g)
    for _, digest in pairs(DIGESTS) do assert.equal(200, get(g, "ci/app", digest).status) end
    -- the other registry sets a tag without a look at what was deleted by digest
    assert.equal(202, delete(DIGESTS[OCI]))
    tool.write(g.data .. "/" .. REPO .. "v2", ('{"%s": "%s"}'):format(OCI, DIGESTS[OCI]))
    assert.equal(200, get(g, "ci/app", DIGESTS[OCI]).status)
    assert.equal(202, g:request("DELETE", "/v2/ci/app/manifests/v2").status)
    assert.equal(404, g:request("DELETE", "/v2/ci/app/manifests/v2").status)
    assert.equal(404, get(g, "ci/app", DIGESTS[OCI]).status)
  end)

  it("shows the blobs of a namespace in all of its repositories, and as manifests only those",
    function()
      push_recorded(g)
      assert.equal(200, g:request("HEAD", "/v2/z/any/blobs/" .. LAYER_DIGEST).status)
      assert.equal(404, get(g, "z/any", LAYER_DIGEST).status)
      assert.equal(404, get(g, "z/any", CONFIG_DIGEST).status)
      local big = pusher.blob(g, "z/any", "{" .. tool.bytes(5 * 1024 * 1024, 3))
      assert.equal(404, get(g, "z/any", big.digest).status)
      assert.equal(404, get(g, "z/any", "sha512:" .. HEX .. HEX).status)
      local path = "/v2/z/to/blobs/uploads/?mount="
      assert.equal(201, g:request("POST", path .. LAYER_DIGEST .. "&from=ci/app").status)
      assert.equal(202, g:request("POST", path .. ANY .. "&from=ci/app").status)
      local reply = g:request("DELETE", "/v2/ci/app/blobs/" .. LAYER_DIGEST)
      assert.same({ 405, "UNSUPPORTED" }, { reply.status, (pusher.code(reply)) })
    end)

  it("keeps SHA-256 only, and no repository that looks like a tag", function()
    local long = "sha512:" .. tool.sha512("x")
    for _, case in ipairs {
      { "POST", "/v2/z/a/blobs/uploads/?digest-algorithm=sha512", "DIGEST_INVALID" },
      { "POST", "/v2/z/a/blobs/uploads/?digest=" .. long, "DIGEST_INVALID" },
      { "PUT", pusher.session(g, "z/a") .. "?digest=" .. long, "DIGEST_INVALID" },
      { "PUT", "/v2/z/a/manifests/" .. long, "DIGEST_INVALID" },
      { "POST", "/v2/z/manifests/blobs/uploads/", "NAME_INVALID" },
      { "PUT", "/v2/z/manifests/a/manifests/v1", "NAME_INVALID" },
    } do
      local reply = g:request(case[1], case[2], { body = "x" })
      assert.same({ 400, case[3] }, { reply.status, (pusher.code(reply)) }, case[2])
    end
    assert.equal(201, (pusher.put_manifest(g, "z/a", "manifests", '{"layers":[]}')).status)
    assert.same({ "manifests" }, pusher.decode(g:request("GET", "/v2/z/a/tags/list").body).tags)
  end)

  it("lists tags in pages, among manifests by digest", function()
    for _, tag in ipairs { "a", "a-b", "a.b", "B", "c" } do
      assert.equal(201, pusher.put_manifest(g, "z/pages", tag, '{"layers":[]}').status)
    end
    assert.equal(201, pusher.put_manifest(g, "z/pages", tool.digest '{"layers":[]}',
      '{"layers":[]}').status)
    local found, path = {}, "/v2/z/pages/tags/list?n=2"
    while path do
      local reply = g:request("GET", path)
      local tags = pusher.decode(reply.body).tags
      assert.is_true(#tags <= 2)
      for _, tag in ipairs(tags) do found[#found + 1] = tag end
      path = (reply.header "link" or ""):match "^<(.-)>"
    end
    assert.same({ "B", "a", "a-b", "a.b", "c" }, found)
  end)

  it("lists referrers, and hides one that was deleted", function()
    local digests = {}
    for i = 1, 2 do
      local text = json.encode { schemaVersion = 2, mediaType = OCI, artifactType = "x/" .. i,
        layers = json.decode "[]", subject = { mediaType = OCI, digest = ANY, size = 1 } }
      digests[i] = tool.digest(text)
      local reply = pusher.put_manifest(g, "z/refs", digests[i], text)
      assert.same({ 201, ANY }, { reply.status, reply.header "oci-subject" })
    end
    local function listed()
      local found = {}
      local reply = g:request("GET", "/v2/z/refs/referrers/" .. ANY)
      for _, d in ipairs(pusher.decode(reply.body).manifests) do found[d.digest] = true end
      return found
    end
    assert.same({ [digests[1]] = true, [digests[2]] = true }, listed())
    assert.equal(202, g:request("DELETE", "/v2/z/refs/manifests/" .. digests[1]).status)
    assert.same({ [digests[2]] = true }, listed())
  end)

  it("lets no record grow past what it reads", function()
    local record = {}
    local path = g.data .. "/_local/repos/z/full/manifests/v1"
    tool.must("mkdir -p " .. path:match "^(.*)/")
    for i = 1, 785 do record[("a/%03d"):format(i)] = ANY end
    local text = json.encode(record)
    tool.write(path, text)
    assert.is_true(#text < 65536 and #text + 2 * 785 > 65536)
    local reply = pusher.put_manifest(g, "z/full", "v1", '{"layers":[]}')
    assert.same({ 400, "MANIFEST_INVALID" }, { reply.status, (pusher.code(reply)) })
    assert.equal(text, tool.read(path))
    assert.equal(202, g:request("DELETE", "/v2/z/full/manifests/v1").status)
  end)

  it("takes over a damaged record", function()
    for _, text in ipairs { "", "{", "[]", '"x"', '{"a/b": 7}', '{"a/b": "sha256:x"}' } do
      local path = g.data .. "/_local/repos/z/torn/manifests/v1"
      tool.must("mkdir -p " .. path:match "^(.*)/")
      tool.write(path, text)
      assert.equal(404, get(g, "z/torn", "v1").status, text)
      assert.equal(201, pusher.put_manifest(g, "z/torn", "v1", '{"layers":[]}').status)
      assert.equal(200, get(g, "z/torn", "v1").status, text)
    end
  end)
end)

describe("with the layout zuul", function()
  it("an immutable tag is set once, with one media type", function()
    local g = pusher.registry(OPTIONS .. 'immutable = { "v*" },')
    local texts = { '{"mediaType":"a/a","layers":[]}', '{"mediaType":"a/b","layers":[]}' }
    for round = 1, 5 do
      local replies = crowd.run(4, function(i)
        local text = texts[i % 2 + 1]
        return { status = g:request("PUT", "/v2/z/im/manifests/v" .. round, { body = text }).status,
          text = text }
      end)
      local record = json.decode(tool.read(g.data .. "/_local/repos/z/im/manifests/v" .. round))
      local media_type = next(record)
      assert.is_nil(next(record, media_type))
      for _, reply in ipairs(replies) do
        assert.equal(record[media_type] == tool.digest(reply.text) and 201 or 403, reply.status)
      end
    end
    assert.equal(403, g:request("DELETE", "/v2/z/im/manifests/v1").status)
    g:stop()
  end)

  it("uploads end that nobody goes on with, of either registry", function()
    local folder = tool.tmpdir()
    recorded.plant(folder)
    local never = pusher.registry(OPTIONS .. 'uploads_expire = "never",', { data = folder })
    local old, fresh = pusher.session(never, "ci/app"), pusher.session(never, "ci/app")
    local orphan = pusher.session(never, "ci/app")
    local function folder_of(location)
      return ("%s/_local/uploads/%s"):format(folder, location:match "[^/]+$")
    end
    for _, location in ipairs { old, fresh, orphan } do
      assert.equal(202, never:request("PATCH", location, { body = "bytes" }).status)
    end
    os.remove(folder_of(orphan) .. "/metadata")
    for _, location in ipairs { old, orphan, "/" .. ID } do
      tool.must("find " .. folder_of(location) .. " -type f -exec touch -d '25 hours ago' {} +")
    end
    local g = pusher.registry(OPTIONS .. 'uploads_expire = "2m",', { data = folder })
    assert(g:logged("upload expired[^\n]*" .. old:match "[^/]+$"))
    assert(g:logged("upload expired[^\n]*" .. ID))
    assert(g:logged("upload expired[^\n]*" .. orphan:match "[^/]+$"))
    assert.equal(404, never:request("PATCH", old, { body = "more" }).status)
    assert.equal(404, never:request("GET", "/v2/ci/app/blobs/uploads/" .. ID).status)
    local reply = never:request("PUT", fresh .. "?digest=" .. tool.digest "bytes")
    assert.equal(201, reply.status, reply.body)
    assert.same({}, g:files "_local/uploads")
    for _, server in ipairs { g, never } do server:stop() end
    tool.remove(folder)
  end)

  it("a mirror of namespaces keeps them apart", function()
    local g = pusher.registry 'layout = require("layouts.zuul").namespaced,'
    local digest = pusher.image(g, "one/app", "v1", 1)
    pusher.image(g, "one", "v1", 2)
    pusher.image(g, "two/x/y", "v1", 3)
    assert.equal(200, get(g, "one/other", digest).status)
    assert.equal(404, get(g, "two/x/y", digest).status)
    assert.equal(202, g:request("POST",
      ("/v2/two/x/blobs/uploads/?mount=%s&from=one/app"):format(digest)).status)
    assert.equal(201, g:request("POST",
      ("/v2/one/x/blobs/uploads/?mount=%s&from=one/app"):format(digest)).status)
    assert.same({ "one", "one/app", "two/x/y" },
      pusher.decode(g:request("GET", "/v2/_catalog").body).repositories)
    assert.same({ "v1" }, pusher.decode(g:request("GET", "/v2/one/tags/list").body).tags)
    local ok, out = g:command("verify " .. tool.quote(g.path))
    assert.is_true(ok, out)
    g:stop()
  end)

  it("options that it has nothing for are errors when the script loads", function()
    for option, why in pairs {
      ["quota = function() end"] = "'quota' needs a layout in which repositories own their blobs",
      ['trash = "7d"'] = "'trash' needs a layout that has a place for it",
      ['http_secret = "x"'] = "'http_secret' is for a layout that keeps uploads as",
    } do
      local folder = tool.tmpdir()
      tool.write(folder .. "/gate.lua", ([[
        local gate = require "tidegate"
        gate.serve { require "apps.registry" { store = gate.store.mem { name = "x" },
          layout = require "layouts.zuul", %s } }
      ]]):format(option))
      local ok, out = tool.run(("%s check %s/gate.lua"):format(PROGRAM, folder))
      assert.is_false(ok)
      assert.truthy(out:find(why, 1, true), out)
      tool.remove(folder)
    end
  end)
end)
