-- SPDX-License-Identifier: Apache-2.0
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local SBOM, SIGNATURE = "application/vnd.example.sbom.v1", "application/vnd.example.signature.v1"
local EMPTY = "application/vnd.oci.empty.v1+json"

local function array(list) return setmetatable(list, { __jsontype = "array" }) end

describe("referrers", function()
  local g

  setup(function() g = pusher.registry() end)
  teardown(function() g:stop() end)

  -- Any manifest's digest will do: a subject need not be there.
  local function subject(seed)
    return { mediaType = pusher.IMAGE, digest = tool.digest("subject " .. seed), size = 9 }
  end

  -- An artifact's text; `more` overrides fields, and false removes one.
  local function artifact(repo, of, more)
    local config = pusher.blob(g, repo, "{}", EMPTY)
    local doc = { schemaVersion = 2, mediaType = pusher.IMAGE, artifactType = SBOM, config = config,
      layers = array { config }, subject = of }
    for name, value in pairs(more or {}) do doc[name] = value or nil end
    return json.encode(doc)
  end

  local function push(repo, text, ref, server, media_type)
    local reply = pusher.put_manifest(server or g, repo, ref or tool.digest(text), text, media_type)
    assert.equal(201, reply.status, reply.body)
    return tool.digest(text), reply
  end

  local function list(repo, digest, query, server)
    local path = ("/v2/%s/referrers/%s%s"):format(repo, digest, query or "")
    local reply = (server or g):request("GET", path)
    assert.equal(200, reply.status, reply.body)
    assert.equal(pusher.INDEX, reply.header("content-type"))
    local doc = pusher.decode(reply.body)
    assert.equal(2, doc.schemaVersion)
    assert.equal(pusher.INDEX, doc.mediaType)
    local link = reply.header("link")
    return doc.manifests, link and link:match('^<(.-)>; rel="next"$'), reply
  end

  local function digests(found)
    local names = {}
    for i, d in ipairs(found) do names[i] = d.digest end
    table.sort(names)
    return names
  end

  it("are none of what is unknown, never 404", function()
    for _, repo in ipairs { "r/none", "r/other" } do
      local found, link, reply = list(repo, "sha256:" .. ("0"):rep(64))
      assert.same({}, found)
      assert.is_nil(link)
      assert.is_truthy(reply.body:find('"manifests":[]', 1, true))
      assert.is_nil(reply.header("oci-filters-applied"))
      assert.equal("registry/2.0", reply.header("docker-distribution-api-version"))
    end
    pusher.image(g, "r/other", "v1")
    assert.same({}, (list("r/other", tool.digest("x"))))
  end)

  it("refuse a digest that is none", function()
    for _, path in ipairs { "sha256:bad", "latest", "md5:00", subject(1).digest .. "?last=x" } do
      local reply = g:request("GET", "/v2/r/none/referrers/" .. path)
      assert.equal(400, reply.status, path)
      assert.equal("DIGEST_INVALID", (pusher.code(reply)))
    end
    assert.equal(400, g:request("GET", "/v2/R/referrers/" .. subject(1).digest).status)
  end)

  it("are told to the client that pushes one", function()
    local s = subject("told")
    local _, reply = push("r/told", artifact("r/told", s))
    assert.equal(s.digest, reply.header("oci-subject"))
    _, reply = push("r/told", artifact("r/told", s, { artifactType = SIGNATURE }), "tagged")
    assert.equal(s.digest, reply.header("oci-subject"))
    _, reply = push("r/told", artifact("r/told", nil), "plain")
    assert.is_nil(reply.header("oci-subject"))
    _, reply = push("r/told", artifact("r/told", json.null), "null")
    assert.is_nil(reply.header("oci-subject"))
    assert.equal(2, #list("r/told", s.digest))
    assert.same({}, (list("r/elsewhere", s.digest)))
  end)

  it("say their type, kind, size and annotations", function()
    local s = subject("said")
    local notes = { ["org.example.a"] = "b", ["org.example.quote"] = 'é "\\\n' }
    local config = pusher.blob(g, "r/said", "[]", pusher.CONFIG)
    local text = {
      artifact("r/said", s, { annotations = notes }),
      artifact("r/said", s, { artifactType = "", config = config }),
      artifact("r/said", s, { artifactType = false, config = config, annotations = {} }),
      json.encode { mediaType = pusher.INDEX, manifests = array {}, subject = s },
      json.encode { mediaType = pusher.INDEX, manifests = array {}, subject = s,
        artifactType = SIGNATURE, annotations = notes },
    }
    local expected = {
      { pusher.IMAGE, SBOM, notes }, { pusher.IMAGE, pusher.CONFIG },
      { pusher.IMAGE, pusher.CONFIG }, { pusher.INDEX }, { pusher.INDEX, SIGNATURE, notes },
    }
    for i, t in ipairs(text) do
      local digest = push("r/said", t, nil, nil, expected[i][1])
      local entry
      for _, d in ipairs(list("r/said", s.digest)) do entry = d.digest == digest and d or entry end
      assert.same({ mediaType = expected[i][1], digest = digest, size = #t,
        artifactType = expected[i][2], annotations = expected[i][3] }, entry)
    end
  end)

  it("can be asked for by their kind", function()
    local s = subject("kind")
    local sbom = push("r/kind", artifact("r/kind", s))
    local signature = push("r/kind", artifact("r/kind", s, { artifactType = SIGNATURE }))
    for kind, digest in pairs { [SBOM] = sbom, [SIGNATURE] = signature, ["none/such"] = false } do
      local found, _, reply = list("r/kind", s.digest, "?artifactType=" .. kind:gsub("/", "%%2F"))
      assert.same(digest and { digest } or {}, digests(found))
      assert.equal("artifactType", reply.header("oci-filters-applied"))
    end
    local found, _, reply = list("r/kind", s.digest, "?artifactType=")
    assert.equal(2, #found)
    assert.is_nil(reply.header("oci-filters-applied"))
  end)

  it("come in pages, each a whole index, linked by relative addresses", function()
    local s, all, sboms = subject("pages"), {}, {}
    for i = 1, 7 do
      local text = artifact("r/pages", s, { annotations = { n = tostring(i) },
        artifactType = i % 3 == 0 and SBOM or SIGNATURE })
      all[i] = push("r/pages", text)
      if i % 3 == 0 then sboms[#sboms + 1] = all[i] end
    end
    table.sort(all)
    table.sort(sboms)
    for filter, expected in pairs { [""] = all, ["&artifactType=" .. SBOM] = sboms } do
      for n = 1, 8 do
        local seen, path = {}, ("?n=%d%s"):format(n, filter)
        while path do
          local found, link, reply = list("r/pages", s.digest, path)
          assert.is_true(#found <= n)
          assert.equal(filter ~= "" and "artifactType" or nil, reply.header("oci-filters-applied"))
          for _, d in ipairs(found) do seen[#seen + 1] = d.digest end
          path = link and link:match("^/v2/r/pages/referrers/" .. s.digest .. "(%?.*)$")
        end
        assert.same(expected, seen, "n=" .. n .. filter)
      end
    end
  end)

  it("make no reply larger than clients read", function()
    local s, total = subject("large"), 0
    for i = 1, 3 do
      push("r/large", artifact("r/large", s, { annotations = { a = ("x"):rep(2000000) .. i } }))
    end
    local path, pages = "", 0
    while path do
      local found, link, reply = list("r/large", s.digest, path)
      assert.is_true(#reply.body <= 4 * 1024 * 1024)
      total, pages = total + #found, pages + 1
      path = link and link:match("%?.*$")
    end
    assert.same({ 3, 3 }, { total, pages })
  end)

  it("are told in the event of their push", function()
    local other = pusher.registry [[
      on = { ["manifest.pushed"] = function(e)
        gate.log.info("heard", { what = e.tag .. " of " .. e.subject })
      end },
    ]]
    local s = subject("event")
    local config = pusher.blob(other, "r/event", "{}", EMPTY)
    local text = json.encode { mediaType = pusher.IMAGE, config = config, subject = s }
    push("r/event", text, tool.digest(text) .. "?tag=a&tag=b", other)
    for _, tag in ipairs { "a", "b" } do
      assert.is_truthy(other:logged(("heard[^\n]*%s of %s"):format(tag, s.digest)))
    end
    other:stop()
  end)

  it("of a registry for a part of the names are linked by the names that clients know", function()
    local other = pusher.registry 'prefix = "/v2/team",'
    local s = subject("part")
    for i = 1, 2 do
      local text = json.encode { mediaType = pusher.INDEX, manifests = array {}, subject = s,
        annotations = { n = tostring(i) } }
      push("team/r", text, nil, other, pusher.INDEX)
    end
    local found, link = list("team/r", s.digest, "?n=1", other)
    assert.equal(1, #found)
    assert.matches("^/v2/team/r/referrers/sha256:", link)
    found = pusher.decode(other:request("GET", link).body).manifests
    assert.equal(1, #found)
    other:stop()
  end)

  it("go with their manifest, and come again with it", function()
    local s = subject("gone")
    local text = artifact("r/gone", s)
    local digest = push("r/gone", text, "v1")
    local kept = push("r/gone", artifact("r/gone", s, { artifactType = SIGNATURE }))
    assert.equal(202, g:request("DELETE", "/v2/r/gone/manifests/" .. digest).status)
    assert.same({ kept }, digests((list("r/gone", s.digest))))
    push("r/gone", text)
    assert.equal(2, #list("r/gone", s.digest))
    assert.equal(202, g:request("DELETE", "/v2/r/gone/manifests/" .. kept).status)
    assert.same({ digest }, digests((list("r/gone", s.digest))))
  end)

  it("do not show what has lost its manifest, or is damaged", function()
    local s = subject("stale")
    local below = g.data .. "/docker/registry/v2/repositories/r/stale/"
    local all = {}
    for i = 1, 3 do
      all[i] = push("r/stale", artifact("r/stale", s, { annotations = { n = tostring(i) } }))
    end
    os.remove(below .. "_manifests/revisions/sha256/" .. all[1]:sub(8) .. "/link")
    local entries = below .. "_referrers/sha256/" .. s.digest:sub(8) .. "/of/sha256/"
    tool.write(entries .. all[2]:sub(8), '{"digest":')
    tool.write(entries .. "unexpected", "x")
    assert.same({ all[3] }, digests((list("r/stale", s.digest))))
  end)

  it("are refused as a whole when one is of a later version, which is named", function()
    local s = subject("later")
    local digest = push("r/later", artifact("r/later", s))
    local key = ("docker/registry/v2/repositories/r/later/_referrers/sha256/%s/of/sha256/%s")
      :format(s.digest:sub(8), digest:sub(8))
    tool.write(g.data .. "/" .. key, ('{"_format":2,"descriptor":{"digest":"%s"}}'):format(digest))
    local reply = g:request("GET", "/v2/r/later/referrers/" .. s.digest)
    assert.equal(501, reply.status)
    local why = key .. ": version 2 is newer than this program knows (1)"
    assert.truthy(reply.body:find(why, 1, true))
  end)

  it("keep a SHA-512 name, of the subject and of themselves", function()
    local of = { mediaType = pusher.IMAGE, digest = "sha512:" .. tool.sha512("x"), size = 1 }
    local text = artifact("r/long", of)
    local digest = "sha512:" .. tool.sha512(text)
    local _, reply = push("r/long", text, digest)
    assert.equal(of.digest, reply.header("oci-subject"))
    assert.same({ digest }, digests((list("r/long", of.digest))))
    assert.same({}, (list("r/long", tool.digest("x"))))
    assert.equal(202, g:request("DELETE", "/v2/r/long/manifests/" .. digest).status)
    assert.same({}, (list("r/long", of.digest)))
  end)

  it("refuse a subject that is no descriptor", function()
    for _, bad in ipairs { "x", 7, { digest = "sha256:bad" }, {}, { digest = 7 } } do
      local text = artifact("r/bad", bad)
      local reply = pusher.put_manifest(g, "r/bad", "v1", text)
      assert.equal(400, reply.status)
      local code, detail = pusher.code(reply)
      assert.equal("MANIFEST_INVALID", code)
      assert.same({ at = "/subject" }, detail)
    end
  end)

  it("take over the list that clients have kept under a tag", function()
    local s = subject("old")
    local repo = "r/old"
    local listed = artifact(repo, s, { annotations = { a = "b" } })
    local foreign = artifact(repo, subject("another"))
    local revisions = {}
    for i, text in ipairs { listed, foreign } do revisions[i] = push(repo, text) end
    -- as if pushed before there was such a thing as a list of referrers
    tool.must(("rm -r %s/docker/registry/v2/repositories/%s/_referrers"):format(g.data, repo))
    assert.same({}, (list(repo, s.digest)))
    local tag = "sha256-" .. s.digest:sub(8)
    local function keep(extra)
      push(repo, json.encode { schemaVersion = 2, mediaType = pusher.INDEX, manifests = array {
        { mediaType = pusher.IMAGE, digest = revisions[1], size = #listed },
        { mediaType = pusher.IMAGE, digest = revisions[2], size = #foreign },
        { mediaType = pusher.IMAGE, digest = tool.digest("not here"), size = 1 }, extra,
      } }, tag, nil, pusher.INDEX)
    end
    keep()
    for _ = 1, 2 do
      local found = list(repo, s.digest)
      assert.same({ revisions[1] }, digests(found))
      assert.same({ a = "b" }, found[1].annotations)
      assert.equal(SBOM, found[1].artifactType)
    end
    g:request("DELETE", ("/v2/%s/manifests/%s"):format(repo, tag))
    assert.same({ revisions[1] }, digests((list(repo, s.digest))))
    local later = artifact(repo, s, { artifactType = SIGNATURE })
    local digest = push(repo, later)
    tool.must(("rm -r %s/docker/registry/v2/repositories/%s/_referrers"):format(g.data, repo))
    keep { mediaType = pusher.IMAGE, digest = digest, size = #later }
    assert.equal(2, #list(repo, s.digest))
  end)

  -- Such a tag has no more than 64 digits, whatever the algorithm.
  it("take over the list of a SHA-512 subject, whose tag is cut", function()
    local repo, hex = "r/old512", tool.sha512("subject")
    local s = { mediaType = pusher.IMAGE, digest = "sha512:" .. hex, size = 9 }
    local text = artifact(repo, s)
    local digest = push(repo, text)
    tool.must(("rm -r %s/docker/registry/v2/repositories/%s/_referrers"):format(g.data, repo))
    push(repo, json.encode { schemaVersion = 2, mediaType = pusher.INDEX, manifests = array {
      { mediaType = pusher.IMAGE, digest = digest, size = #text },
    } }, "sha512-" .. hex:sub(1, 64), nil, pusher.INDEX)
    assert.same({ digest }, digests((list(repo, s.digest))))
    -- another subject that begins alike has nothing in there
    assert.same({}, (list(repo, "sha512:" .. hex:sub(1, 64) .. ("0"):rep(64))))
  end)

  it("lose none that are pushed through two gateways at once", function()
    local other = pusher.registry("", { data = g.data })
    local s, wires, expected = subject("crowd"), {}, {}
    pusher.blob(g, "r/crowd", "{}", EMPTY)
    for i = 1, 24 do
      local text = artifact("r/crowd", s, { annotations = { n = tostring(i) } })
      local c = (i % 2 == 0 and g or other):raw()
      c:send(("PUT /v2/r/crowd/manifests/%s HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n%s")
        :format(tool.digest(text), #text, text:sub(1, -2)))
      wires[i], expected[i] = { c = c, rest = text:sub(-1) }, tool.digest(text)
    end
    for _, w in ipairs(wires) do w.c:send(w.rest) end
    for _, w in ipairs(wires) do
      assert.equal(201, w.c:read_reply("PUT").status)
      w.c:close()
    end
    table.sort(expected)
    for _, server in ipairs { g, other } do
      assert.same(expected, digests((list("r/crowd", s.digest, "", server))))
    end
    other:stop()
  end)

  -- Whichever comes last, a manifest that is there is listed.
  it("are listed whenever their manifest is there, however pushes and deletes meet", function()
    local s = subject("meet")
    local text = artifact("r/meet", s)
    local digest = tool.digest(text)
    local path = "/v2/r/meet/manifests/" .. digest
    for _ = 1, 40 do
      push("r/meet", text)
      local put, delete = g:raw(), g:raw()
      put:send(("PUT %s HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n%s")
        :format(path, #text, text))
      delete:send(("DELETE %s HTTP/1.1\r\nHost: g\r\n\r\n"):format(path))
      assert.equal(201, put:read_reply("PUT").status)
      delete:read_reply("DELETE")
      put:close()
      delete:close()
      local is_there = g:request("HEAD", path).status == 200
      assert.same(is_there and { digest } or {}, digests((list("r/meet", s.digest))))
    end
  end)
end)
