-- SPDX-License-Identifier: Apache-2.0
--
-- What each client puts on the wire for a push and a pull, line by line, and what it cannot do
-- without in the answers: for those that cannot be run here, and so that a change which breaks one
-- is noticed before somebody's client is. The facts were taken from captures and from sources.
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local SCHEMA2 = "application/vnd.docker.distribution.manifest.v2+json"
local OCTETS = "application/octet-stream"
local EMPTY = "application/vnd.oci.empty.v1+json"
local LISTS = "application/vnd.docker.distribution.manifest.list.v2+json"
local GO = "Go-http-client/1.1"
local ZERO = "sha256:" .. ("0"):rep(64)

describe("the requests of", function()
  local g
  setup(function()
    g = pusher.registry [[ allow = function(q)
      return q.action ~= "pull" or q.repo ~= "rp/secret"
    end, ]]
  end)
  teardown(function() g:stop() end)

  -- A client: its own headers go with every request, and every answer names the protocol.
  local function client(headers)
    local connection = g:raw()
    local self = {}

    function self.send(status, method, path, more, body)
      local all = {}
      for _, from in ipairs { headers, more or {} } do
        for name, value in pairs(from) do all[name] = value end
      end
      if all.Connection == "close" then
        connection:close()
        connection = g:raw()
      end
      local options = { headers = all }
      options[type(body) == "table" and "chunked" or "body"] = body
      local reply = connection:request(method, path, options)
      assert.equal(status, reply.status, method .. " " .. path .. " " .. reply.body)
      assert.equal("registry/2.0", reply.header("docker-distribution-api-version"))
      if all.Connection == "close" then assert.is_true(connection:ended()) end
      return reply
    end

    function self.close() connection:close() end

    return self
  end

  local function layer(seed, size)
    local text = tool.bytes(size or 3000, seed)
    return text, tool.digest(text)
  end

  local function escaped(digest) return (digest:gsub(":", "%%3A")) end

  -- An image manifest of one blob that is config and layer at once.
  local function manifest(digest, size, more)
    local doc = { schemaVersion = 2, mediaType = pusher.IMAGE,
      config = { mediaType = pusher.CONFIG, size = size, digest = digest },
      layers = { { mediaType = pusher.LAYER, size = size, digest = digest } } }
    for name, value in pairs(more or {}) do doc[name] = value end
    return json.encode(doc)
  end

  -- Pulls a manifest, by what it is called or by the digest that a first look gives, and its blobs.
  local function pull(c, repo, ref, accept, looks_first)
    local path = ("/v2/%s/manifests/"):format(repo)
    local named, head = ref, nil
    if looks_first then
      head = c.send(200, "HEAD", path .. ref, { Accept = accept })
      named = head.header("docker-content-digest")
    end
    local got = c.send(200, "GET", path .. named, { Accept = accept })
    for _, reply in ipairs { head or got, got } do
      assert.equal(tool.digest(got.body), reply.header("docker-content-digest"))
      assert.equal(tostring(#got.body), reply.header("content-length"))
      assert.equal(pusher.decode(got.body).mediaType, reply.header("content-type"))
    end
    for _, d in ipairs(pusher.decode(got.body).layers) do
      local blob = c.send(200, "GET", ("/v2/%s/blobs/%s"):format(repo, d.digest))
      assert.equal(d.digest, tool.digest(blob.body))
      assert.equal("bytes", blob.header("accept-ranges"))
    end
  end

  -- Owns a blob of the other repository without sending it.
  local function mount(c, repo, digest, from, more)
    local reply = c.send(201, "POST", ("/v2/%s/blobs/uploads/?mount=%s%s"):format(repo,
      escaped(digest), from and "&from=" .. from:gsub("/", "%%2F") or ""), more)
    assert.equal(digest, reply.header("docker-content-digest"))
    assert.equal(("/v2/%s/blobs/%s"):format(repo, digest), pusher.place(reply))
    c.send(200, "HEAD", pusher.place(reply))
  end

  it("docker 20.10", function()
    local c = client { Connection = "close", ["Accept-Encoding"] = "gzip",
      ["User-Agent"] = "docker/20.10.24+dfsg1 go/go1.19.8 kernel/6.1.0 os/linux arch/amd64"
        .. " UpstreamClient(Docker-Client/28.2.2 \\(linux\\))" }
    local text, digest = layer(1)
    c.send(200, "GET", "/v2/")
    c.send(404, "HEAD", "/v2/rp/docker/blobs/" .. digest)
    for _, from in ipairs { "rp%2Fnone", "rp%2Fsecret" } do -- candidates, then gives up the session
      local reply = c.send(202, "POST", ("/v2/rp/docker/blobs/uploads/?from=%s&mount=%s")
        :format(from, escaped(digest)))
      c.send(204, "DELETE", pusher.place(reply))
    end
    local reply = c.send(202, "POST", "/v2/rp/docker/blobs/uploads/", { ["Content-Length"] = "0" })
    assert.is_truthy(reply.header("docker-upload-uuid"))
    reply = c.send(202, "PATCH", pusher.place(reply), nil, { text:sub(1, 1000), text:sub(1001) })
    local first, last = reply.header("range"):match("^(%d+)%-(%d+)$")
    assert.same({ "0", "2999" }, { first, last })
    assert.is_truthy(reply.header("docker-upload-uuid"))
    c.send(201, "PUT", pusher.closing(pusher.place(reply), escaped(digest)),
      { ["Content-Length"] = "0" })
    reply = c.send(200, "HEAD", "/v2/rp/docker/blobs/" .. digest)
    assert.equal("3000", reply.header("content-length"))
    local body = manifest(digest, 3000, { mediaType = SCHEMA2 })
    reply = c.send(201, "PUT", "/v2/rp/docker/manifests/t1", { ["Content-Type"] = SCHEMA2 }, body)
    assert.equal(tool.digest(body), reply.header("docker-content-digest"))
    local accept = { Accept = { pusher.INDEX, "application/json", pusher.IMAGE, SCHEMA2,
      "application/vnd.docker.distribution.manifest.v1+prettyjws", LISTS } }
    reply = c.send(200, "HEAD", "/v2/rp/docker/manifests/t1", accept)
    assert.equal(SCHEMA2, reply.header("content-type"))
    assert.equal(tostring(#body), reply.header("content-length"))
    reply = c.send(200, "GET", "/v2/rp/docker/manifests/" .. tool.digest(body), accept)
    assert.equal(body, reply.body)
    assert.equal(text, c.send(200, "GET", "/v2/rp/docker/blobs/" .. digest).body)
    reply = c.send(206, "GET", "/v2/rp/docker/blobs/" .. digest, { Range = "bytes=1000-" })
    assert.equal(text:sub(1001), reply.body)
    mount(c, "rp/docker2", digest, "rp/docker", { ["Content-Length"] = "0" })
    c.close()
  end)

  it("containerd, nerdctl and docker 29", function()
    local c = client { ["User-Agent"] = "containerd/1.6.20~ds1" }
    local text, digest = layer(2, 3000000)
    local accept = { Accept = pusher.LAYER .. ", */*" }
    c.send(404, "HEAD", "/v2/rp/ctr/blobs/" .. digest, accept)
    local reply = c.send(202, "POST", "/v2/rp/ctr/blobs/uploads/",
      { ["Content-Length"] = "0", ["Accept-Encoding"] = "gzip" })
    assert.matches("^/v2/", reply.header("location"))
    -- when its connection breaks it begins anew, at the same place
    local place = pusher.closing(pusher.place(reply), escaped(digest))
    local broken = g:raw()
    broken:send(("PUT %s HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n%s")
      :format(place, #text, text:sub(1, 2000000)))
    broken:close()
    reply = c.send(201, "PUT", place, { ["Content-Type"] = OCTETS, ["Accept-Encoding"] = "gzip" },
      text)
    assert.equal(digest, reply.header("docker-content-digest"))
    local body = manifest(digest, #text)
    c.send(404, "HEAD", "/v2/rp/ctr/manifests/t1", { Accept = pusher.IMAGE .. ", */*" })
    reply = c.send(201, "PUT", "/v2/rp/ctr/manifests/t1", { ["Content-Type"] = pusher.IMAGE }, body)
    assert.equal(tool.digest(body), reply.header("docker-content-digest"))
    reply = c.send(200, "HEAD", "/v2/rp/ctr/manifests/t1?ns=docker.io", { Accept = "*/*" })
    assert.equal(tool.digest(body), reply.header("docker-content-digest"))
    assert.equal(tostring(#body), reply.header("content-length"))
    pull(c, "rp/ctr", "t1", pusher.IMAGE .. ", " .. SCHEMA2 .. ", */*", true)
    mount(c, "rp/ctr2", digest, "rp/ctr", { ["Content-Length"] = "0" })
    reply = c.send(200, "GET", "/v2/rp/ctr/blobs/" .. digest,
      { ["Accept-Encoding"] = "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5" })
    assert.is_nil(reply.header("content-encoding"))
    assert.is_true(reply.body == text)
    -- from 2.0 on: several open ranges at once, each closed after its part
    for first = 0, 2000000, 1000000 do
      local part = g:raw()
      part:send(("GET /v2/rp/ctr/blobs/%s HTTP/1.1\r\nHost: g\r\nRange: bytes=%d-\r\n\r\n")
        :format(digest, first))
      local head = ""
      repeat head = head .. assert(part.socket:receive(1)) until head:find("\r\n\r\n", 1, true)
      assert.matches("^HTTP/1.1 206 ", head)
      assert.equal(text:sub(first + 1, first + 100000), (assert(part.socket:receive(100000))))
      part:close()
    end
    c.send(200, "GET", "/v2/")
    for _, level in ipairs { "error", "warn" } do -- leaving is a habit of theirs, not a fault
      assert.is_nil(g:log():find("level=" .. level, 1, true), g:log())
    end
    c.close()
  end)

  it("skopeo, podman and CRI-O", function()
    local c = client { ["User-Agent"] = "skopeo/1.9.3", Connection = "close",
      ["Docker-Distribution-Api-Version"] = "registry/2.0", ["Accept-Encoding"] = "gzip" }
    local text, digest = layer(3)
    c.send(200, "GET", "/v2/", { ["X-Registry-Supports-Signatures"] = "1" })
    for _ = 1, 2 do c.send(404, "HEAD", "/v2/rp/skopeo/blobs/" .. digest) end
    local reply = c.send(202, "POST", ("/v2/rp/skopeo/blobs/uploads/?from=rp%%2Fnone&mount=%s")
      :format(escaped(digest)), { ["Content-Length"] = "0" })
    c.send(204, "DELETE", pusher.place(reply))
    reply = c.send(202, "POST", "/v2/rp/skopeo/blobs/uploads/", { ["Content-Length"] = "0" })
    reply = c.send(202, "PATCH", pusher.place(reply), { ["Content-Type"] = OCTETS }, text)
    assert.is_truthy(reply.header("location"))
    c.send(201, "PUT", pusher.closing(pusher.place(reply), escaped(digest)),
      { ["Content-Type"] = OCTETS, ["Content-Length"] = "0" })
    local body = manifest(digest, #text)
    c.send(201, "PUT", "/v2/rp/skopeo/manifests/t1", { ["Content-Type"] = pusher.IMAGE }, body)
    mount(c, "rp/skopeo2", digest, "rp/skopeo", { ["Content-Length"] = "0" })
    pull(c, "rp/skopeo", "t1", { SCHEMA2, pusher.IMAGE, pusher.INDEX, LISTS })
    -- signatures are looked for under a tag
    c.send(404, "GET", "/v2/rp/skopeo/manifests/sha256-" .. tool.sha256(body) .. ".sig")
    -- zstd:chunked pulls parts of a layer
    reply = c.send(206, "GET", "/v2/rp/skopeo/blobs/" .. digest, { Range = "bytes=0-9,100-119" })
    assert.matches("^multipart/byteranges; boundary=", reply.header("content-type"))
    assert.is_truthy(reply.body:find(text:sub(101, 120), 1, true))
    reply = c.send(200, "GET", "/v2/rp/skopeo/manifests/t1", { Accept = { SCHEMA2, pusher.IMAGE } })
    c.send(202, "DELETE", "/v2/rp/skopeo/manifests/" .. reply.header("docker-content-digest"))
    c.send(404, "GET", "/v2/rp/skopeo/manifests/t1")
    c.close()
  end)

  it("crane, ko, kaniko and cosign", function()
    local c = client { ["User-Agent"] = "crane/0.22 go-containerregistry/0.22",
      ["Accept-Encoding"] = "gzip" }
    local text, digest = layer(4)
    c.send(200, "GET", "/v2/")
    c.send(404, "HEAD", "/v2/rp/crane/blobs/" .. digest)
    local as_json = { ["Content-Type"] = "application/json", ["Content-Length"] = "0" }
    local reply = c.send(202, "POST", ("/v2/rp/crane/blobs/uploads/?from=rp%%2Fnone&mount=%s"
      .. "&origin=example.com"):format(escaped(digest)), as_json)
    reply = c.send(202, "PATCH", pusher.place(reply), nil, text)
    c.send(201, "PUT", pusher.closing(pusher.place(reply), escaped(digest)), as_json)
    local body = manifest(digest, #text)
    local image = tool.digest(body)
    c.send(201, "PUT", "/v2/rp/crane/manifests/t1", { ["Content-Type"] = pusher.IMAGE }, body)
    -- a signature beside it, as cosign has it: by a tag made from the digest, and as a referrer
    local signature = manifest(digest, #text, { annotations = { a = "sig" } })
    local tag = "sha256-" .. image:sub(8) .. ".sig"
    c.send(201, "PUT", "/v2/rp/crane/manifests/" .. tag, { ["Content-Type"] = pusher.IMAGE },
      signature)
    c.send(200, "GET", "/v2/rp/crane/manifests/" .. tag, { Accept = pusher.IMAGE })
    c.send(404, "GET", "/v2/rp/crane/manifests/sha256-" .. image:sub(8) .. ".att")
    mount(c, "rp/crane2", digest, "rp/crane", as_json)
    local accept = SCHEMA2 .. "," .. pusher.IMAGE .. "," .. LISTS .. "," .. pusher.INDEX
    pull(c, "rp/crane", "t1", accept)
    reply = c.send(200, "GET", "/v2/rp/crane/referrers/" .. image, { Accept = pusher.INDEX })
    assert.equal(pusher.INDEX, reply.header("content-type")) -- exactly, or it looks for a tag
    c.send(200, "GET", "/v2/rp/crane/tags/list?n=1000")
    c.send(200, "GET", "/v2/_catalog?n=10000")
    c.close()
  end)

  it("oras and helm", function()
    local c = client { ["User-Agent"] = "oras/1.2.0", ["Accept-Encoding"] = "gzip" }
    -- it asks once whether there is a list of referrers, and compares the type as it stands
    local reply = c.send(200, "GET", "/v2/rp/oras/referrers/" .. ZERO, { Accept = pusher.INDEX })
    assert.equal(pusher.INDEX, reply.header("content-type"))
    for _, case in ipairs {
      { pusher.CONFIG, "1.0.0" },
      { "application/vnd.cncf.helm.config.v1+json", "0.1.0_build" },
    } do
      local config = '{"name":"' .. case[2] .. '"}'
      local digest = tool.digest(config)
      c.send(404, "HEAD", "/v2/rp/oras/blobs/" .. digest)
      reply = c.send(202, "POST", "/v2/rp/oras/blobs/uploads/", { ["Content-Length"] = "0" })
      c.send(201, "PUT", pusher.closing(pusher.place(reply), escaped(digest)),
        { ["Content-Type"] = OCTETS }, config)
      local body = json.encode { schemaVersion = 2, mediaType = pusher.IMAGE,
        config = { mediaType = case[1], digest = digest, size = #config },
        layers = { { mediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
          digest = digest, size = #config } } }
      reply = c.send(201, "PUT", "/v2/rp/oras/manifests/" .. case[2],
        { ["Content-Type"] = pusher.IMAGE }, body)
      assert.equal(tool.digest(body), reply.header("docker-content-digest"))
      assert.is_nil(reply.header("oci-subject"))
    end
    local empty = pusher.blob(g, "rp/oras", "{}", EMPTY)
    local body = json.encode { schemaVersion = 2, mediaType = pusher.IMAGE, config = empty,
      artifactType = "application/vnd.example", layers = { empty },
      subject = { mediaType = pusher.IMAGE, digest = ZERO, size = 2 } }
    reply = c.send(201, "PUT", "/v2/rp/oras/manifests/" .. tool.digest(body),
      { ["Content-Type"] = pusher.IMAGE }, body)
    assert.equal(ZERO, reply.header("oci-subject")) -- or it keeps a list under a tag itself
    reply = c.send(200, "GET", "/v2/rp/oras/referrers/" .. ZERO
      .. "?artifactType=application%2Fvnd.example", { Accept = pusher.INDEX })
    assert.equal("artifactType", reply.header("oci-filters-applied"))
    assert.equal(1, #pusher.decode(reply.body).manifests)
    c.send(404, "GET", "/v2/rp/oras/manifests/sha256-" .. ("0"):rep(64)) -- nor is there such a tag
    local accept = SCHEMA2 .. ", " .. LISTS .. ", " .. pusher.IMAGE .. ", " .. pusher.INDEX
    pull(c, "rp/oras", "1.0.0", accept, true)
    mount(c, "rp/oras2", empty.digest, "rp/oras")
    reply = c.send(200, "GET", "/v2/rp/oras/tags/list") -- helm looks here for the versions
    assert.same({ "0.1.0_build", "1.0.0" }, pusher.decode(reply.body).tags)
    c.send(202, "DELETE", "/v2/rp/oras/manifests/" .. tool.digest(body))
    reply = c.send(200, "GET", "/v2/rp/oras/referrers/" .. ZERO, { Accept = pusher.INDEX })
    assert.same({}, pusher.decode(reply.body).manifests)
    c.close()
  end)

  it("regctl and zot's sync", function()
    local c = client { ["User-Agent"] = "regclient/regctl (v0.11)", ["Accept-Encoding"] = "gzip" }
    local text, digest = layer(5)
    c.send(404, "HEAD", "/v2/rp/reg/blobs/" .. digest)
    local reply = c.send(202, "POST", "/v2/rp/reg/blobs/uploads/?mount=" .. escaped(digest),
      { ["Content-Length"] = "0" })
    local place = pusher.place(reply)
    local function patch(status, first, last, path, method)
      return c.send(status, method or "PATCH", path or place,
        { ["Content-Type"] = OCTETS, ["Content-Range"] = ("%d-%d"):format(first, last) },
        text:sub(first + 1, last + 1))
    end
    reply = patch(202, 0, 999)
    assert.equal("0-999", reply.header("range"))
    reply = patch(416, 2000, 2999) -- a chunk got lost on the way: it goes on from what it is told
    assert.equal("0-999", reply.header("range"))
    assert.equal(place, pusher.place(reply))
    assert.equal("0-999", c.send(204, "GET", place).header("range"))
    patch(202, 1000, 1999)
    patch(201, 2000, 2999, place .. "?digest=" .. digest, "PUT")
    reply = c.send(202, "POST", "/v2/rp/reg/blobs/uploads/?mount=" .. ZERO)
    c.send(204, "DELETE", pusher.place(reply))
    local body = manifest(digest, #text)
    c.send(201, "PUT", "/v2/rp/reg/manifests/t1", { ["Content-Type"] = pusher.IMAGE }, body)
    mount(c, "rp/reg2", digest)
    pull(c, "rp/reg", "t1", { SCHEMA2, LISTS, pusher.IMAGE, pusher.INDEX }, true)
    reply = c.send(206, "GET", "/v2/rp/reg/blobs/" .. digest, { Range = "bytes=1000-3000" })
    assert.equal("bytes 1000-2999/3000", reply.header("content-range"))
    reply = c.send(200, "GET", "/v2/rp/reg/referrers/" .. tool.digest(body))
    assert.equal(pusher.INDEX, reply.header("content-type"))
    c.send(202, "DELETE", "/v2/rp/reg/manifests/t1")
    c.send(200, "HEAD", "/v2/rp/reg/manifests/" .. tool.digest(body))
    c.close()
  end)

  it("BuildKit's registry cache", function()
    local c = client { ["User-Agent"] = "buildkit/v0.20" }
    local cached = {}
    for i = 1, 12 do
      local text, digest = layer(100 + i, 400)
      local reply = c.send(202, "POST", "/v2/rp/cache/blobs/uploads/", { ["Content-Length"] = "0" })
      c.send(201, "PUT", pusher.closing(pusher.place(reply), escaped(digest)), nil, text)
      cached[i] = { mediaType = pusher.LAYER, digest = digest, size = #text,
        annotations = { ["buildkit/createdat"] = "2026-11-22T00:00:00Z" } }
    end
    local config = '{"layers":[]}'
    local entry = { mediaType = "application/vnd.buildkit.cacheconfig.v0", size = #config,
      digest = tool.digest(config) }
    pusher.blob(g, "rp/cache", config)
    local older = { unpack(cached) } -- an index that lists layers and the configuration
    older[#older + 1] = entry
    local forms = {
      [pusher.INDEX] = { schemaVersion = 2, mediaType = pusher.INDEX, manifests = older },
      [pusher.IMAGE] = { schemaVersion = 2, mediaType = pusher.IMAGE, config = entry,
        layers = cached },
    }
    for media_type, doc in pairs(forms) do
      local body = json.encode(doc)
      c.send(201, "PUT", "/v2/rp/cache/manifests/cache", { ["Content-Type"] = media_type }, body)
      local reply = c.send(200, "HEAD", "/v2/rp/cache/manifests/cache", { Accept = "*/*" })
      assert.equal(tool.digest(body), reply.header("docker-content-digest")) -- or it is confused
      assert.equal(media_type, reply.header("content-type"))
      reply = c.send(200, "GET", "/v2/rp/cache/manifests/" .. tool.digest(body), { Accept = "*/*" })
      assert.equal(body, reply.body)
    end
    for _, d in ipairs(cached) do c.send(200, "GET", "/v2/rp/cache/blobs/" .. d.digest) end
    c.close()
  end)

  it("Jib, which is Java", function()
    local c = client { ["User-Agent"] = "jib 3.4", ["Accept-Encoding"] = "gzip" }
    local text, digest = layer(6)
    local reply = c.send(202, "POST", "/v2/rp/jib/blobs/uploads/",
      { Accept = "", ["Content-Length"] = "0" })
    reply = c.send(202, "PATCH", pusher.place(reply), { ["Content-Type"] = OCTETS }, { text })
    c.send(201, "PUT", pusher.closing(pusher.place(reply), digest), { ["Content-Length"] = "0" })
    local body = manifest(digest, #text)
    c.send(201, "PUT", "/v2/rp/jib/manifests/t1", { ["Content-Type"] = pusher.IMAGE }, body)
    mount(c, "rp/jib2", digest, "rp/jib", { ["Content-Length"] = "0" })
    pull(c, "rp/jib", "t1", pusher.IMAGE .. "," .. SCHEMA2)
    c.close()
  end)

  it("a Go client that reads the query and writes it anew", function()
    local c = client { ["User-Agent"] = GO }
    local text, digest = layer(7)
    local place = pusher.place(c.send(202, "POST", "/v2/rp/go/blobs/uploads/"))
    c.send(201, "PUT", place .. "?a=b&digest=" .. escaped(digest) .. "&z=%20+", nil, text)
    c.close()
  end)
end)
