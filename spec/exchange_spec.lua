-- SPDX-License-Identifier: Apache-2.0
--
-- One directory, two registries, one after the other: what tidegate wrote docker-registry reads,
-- and the other way round; unfinished uploads included.
local json = require "dkjson"
local pusher = require "spec.pusher"
local peer = require "spec.peer"
local tool = require "spec.tool"
local tree = require "spec.tree"

local TEXT = tool.bytes(150000, 31)
local DIGEST = tool.digest(TEXT)

local function start_tidegate(folder)
  return pusher.registry("", { data = folder })
end

-- A session with the first bytes of TEXT; returns its id.
local function push_half(g, repo)
  local location = pusher.session(g, repo)
  local reply = g:request("PATCH", location, { body = TEXT:sub(1, 100001) })
  assert.equal(202, reply.status)
  return reply.header("docker-upload-uuid")
end

-- Whoever takes over goes on with the session.
local function push_rest(g, id)
  local reply = g:request("GET", peer.place("ex/change", id, 100001))
  assert.equal(204, reply.status, reply.body)
  assert.equal("0-100000", reply.header("range"))
  reply = g:request("PATCH", pusher.place(reply), { body = TEXT:sub(100002) })
  assert.equal(202, reply.status, reply.body)
  assert.equal("0-149999", reply.header("range"))
  reply = g:request("PUT", pusher.closing(pusher.place(reply), DIGEST))
  assert.equal(201, reply.status, reply.body)
end

-- Everything that can be read of the repository; to be the same from both.
local function snapshot(g, repo, digest)
  local seen = {}
  local headers = { Accept = { pusher.IMAGE, pusher.INDEX } }
  for _, path in ipairs {
    "manifests/v1", "manifests/v2", "manifests/" .. digest, "tags/list", "blobs/" .. DIGEST,
  } do
    local reply = g:request("GET", ("/v2/%s/%s"):format(repo, path), { headers = headers })
    if path == "tags/list" then
      seen[path] = pusher.decode(reply.body)
    elseif reply.status == 200 then
      seen[path] = { reply.header("content-type"), reply.header("docker-content-digest"),
        tool.sha256(reply.body) }
    else
      seen[path] = reply.status
    end
  end
  return seen
end

describe("one directory under both registries", function()
  local folder, g

  before_each(function() folder = tool.tmpdir() end)

  after_each(function()
    if g then g:stop() end
    g = nil
    tool.remove(folder)
  end)

  -- Pushes with the one, reads, goes on and reads again with the other, and then with the first.
  local function exchange(start_first, start_second)
    if not tool.has("docker-registry") then pending("docker-registry is not installed") end
    g = start_first(folder)
    local digest = pusher.image(g, "ex/change", "v1", 1)
    pusher.image(g, "ex/change", "v2", 2)
    local id = push_half(g, "ex/change")
    local first = snapshot(g, "ex/change", digest)
    g:stop()

    g = start_second(folder)
    assert.same(first, snapshot(g, "ex/change", digest))
    push_rest(g, id)
    pusher.image(g, "ex/change", "v1", 3)
    assert.equal(202, g:request("DELETE", "/v2/ex/change/manifests/" .. digest).status)
    assert.equal(404, g:request("GET", "/v2/ex/change/manifests/" .. digest).status)
    local second = snapshot(g, "ex/change", digest)
    assert.equal(DIGEST, "sha256:" .. second["blobs/" .. DIGEST][3])
    g:stop()

    g = start_first(folder)
    assert.same(second, snapshot(g, "ex/change", digest))
  end

  it("tidegate, then docker-registry", function() exchange(start_tidegate, peer.start) end)
  -- What the other registry has no notion of, it passes over; and a list that a client has kept
  -- there under a tag is taken over here.
  it("docker-registry between two times of tidegate, with referrers and SHA-512", function()
    if not tool.has("docker-registry") then pending("docker-registry is not installed") end
    local function attach(server, kind)
      local empty = pusher.blob(server, "ex/refs", "{}")
      local text = json.encode { schemaVersion = 2, mediaType = pusher.IMAGE, artifactType = kind,
        config = empty, layers = { empty },
        subject = { mediaType = pusher.IMAGE, digest = DIGEST, size = #TEXT } }
      local digest = tool.digest(text)
      assert.equal(201, pusher.put_manifest(server, "ex/refs", digest, text).status)
      return { mediaType = pusher.IMAGE, digest = digest, size = #text }
    end
    local function listed()
      local reply = g:request("GET", "/v2/ex/refs/referrers/" .. DIGEST)
      local digests = {}
      for i, d in ipairs(pusher.decode(reply.body).manifests) do digests[i] = d.digest end
      table.sort(digests)
      return digests
    end
    g = start_tidegate(folder)
    local first = attach(g, "a/first")
    local gone = attach(g, "a/gone")
    local text = pusher.image_text(g, "ex/refs", 5)
    local long = "sha512:" .. tool.sha512(text)
    assert.equal(201, pusher.put_manifest(g, "ex/refs", long .. "?tag=v1", text).status)
    g:stop()

    g = peer.start(folder)
    assert.same({ "ex/refs" }, pusher.decode(g:request("GET", "/v2/_catalog").body).repositories)
    assert.same({ "v1" }, pusher.decode(g:request("GET", "/v2/ex/refs/tags/list").body).tags)
    local reply = g:request("GET", "/v2/ex/refs/manifests/v1",
      { headers = { Accept = pusher.IMAGE } })
    assert.equal(200, reply.status, reply.body)
    assert.equal(text, reply.body)
    assert.equal(202, g:request("DELETE", "/v2/ex/refs/manifests/" .. gone.digest).status)
    local later = attach(g, "a/later")
    local index = json.encode { schemaVersion = 2, mediaType = pusher.INDEX,
      manifests = { later, first } }
    local tag = "sha256-" .. DIGEST:sub(8)
    reply = pusher.put_manifest(g, "ex/refs", tag, index, pusher.INDEX)
    assert.equal(201, reply.status, reply.body)
    g:stop()

    g = start_tidegate(folder)
    local expected = { first.digest, later.digest }
    table.sort(expected)
    assert.same(expected, listed())
    assert.equal(long,
      g:request("HEAD", "/v2/ex/refs/manifests/v1").header("docker-content-digest"))
  end)

  -- Names of a large folder are kept from one page to the next, once it has been still for 2 s.
  it("both at once, with many tags: one that is added there shows in the next page here", function()
    if not tool.has("docker-registry") then pending("docker-registry is not installed") end
    local other = peer.start(folder)
    g = start_tidegate(folder)
    local digest, text = pusher.image(g, "ex/many", "m0000", 1)
    tree.new(folder):tags("ex/many", tree.names("m%04d", 2500), digest)
    tool.must "sleep 2.1"
    local function page(path)
      local reply = g:request("GET", path)
      return pusher.decode(reply.body).tags, reply.header("link"):match "^<(.-)>"
    end
    local function add(tag)
      local reply = pusher.put_manifest(other, "ex/many", tag, text)
      assert.equal(201, reply.status, reply.body)
    end
    page "/v2/ex/many/tags/list?n=3"
    local first, next_page = page "/v2/ex/many/tags/list?n=3"
    assert.same({ "m0000", "m0001", "m0002" }, first)
    add "m0003-b"
    assert.same({ "m0003", "m0003-b", "m0004" }, (page(next_page)))
    add "m0001-b"
    assert.same({ "m0000", "m0001", "m0001-b" }, (page "/v2/ex/many/tags/list?n=3"))
    add "m0003-a"
    assert.same({ "m0003", "m0003-a", "m0003-b" }, (page(next_page)))
    other:stop()
  end)

  it("docker-registry, then tidegate", function() exchange(peer.start, start_tidegate) end)
end)

describe("both registries at once on one directory", function()
  local REPO = "ex/turns"
  local STEP = 30000
  local folder, ours, theirs

  -- A case with both of them running.
  local function case(name, f)
    it(name, function()
      if not tool.has("docker-registry") then pending("docker-registry is not installed") end
      folder = tool.tmpdir()
      ours = pusher.registry(('http_secret = "%s"'):format(peer.SECRET), { data = folder })
      theirs = peer.start(folder)
      f()
    end)
  end

  after_each(function()
    if not folder then return end
    for _, g in pairs { ours = ours, theirs = theirs } do g:stop() end
    tool.remove(folder)
    folder = nil
  end)

  local function chunk(g, place, i)
    return g:request("PATCH", place, { body = TEXT:sub((i - 1) * STEP + 1, i * STEP) })
  end

  -- What a session begun by one leaves, chunk by chunk in turns, the last of them by `turns[1]`.
  local function upload(turns)
    local place = pusher.session(turns[2], REPO)
    for i = 1, #TEXT / STEP do
      local g = turns[i % 2 + 1]
      local reply = chunk(g, place, i)
      assert.equal(202, reply.status, reply.body)
      assert.equal("0-" .. i * STEP - 1, reply.header("range"))
      place = pusher.place(reply)
      reply = turns[(i + 1) % 2 + 1]:request("GET", place)
      assert.equal(204, reply.status, reply.body)
      assert.equal("0-" .. i * STEP - 1, reply.header("range"))
      place = pusher.place(reply)
    end
    return place
  end

  for _, way in ipairs {
    { "begun here and ended there", true, true }, { "begun here and ended here", true, false },
    { "begun there and ended there", false, true }, { "begun there and ended here", false, false },
  } do
    case("take the chunks of an upload in turns that is " .. way[1], function()
      local place = upload(way[2] and { theirs, ours } or { ours, theirs })
      local last = way[3] and theirs or ours
      local reply = last:request("PUT", pusher.closing(place, DIGEST))
      assert.equal(201, reply.status, reply.body)
      for _, g in ipairs { ours, theirs } do
        local got = g:request("GET", ("/v2/%s/blobs/%s"):format(REPO, DIGEST))
        assert.is_true(got.body == TEXT)
        assert.equal(404, g:request("GET", place).status)
      end
      assert.same({}, ours:files("docker/registry/v2/repositories/" .. REPO .. "/_uploads"))
    end)
  end

  case("end and cancel what the other has just begun", function()
    for _, turns in ipairs { { ours, theirs }, { theirs, ours } } do
      local text = tool.bytes(70000, turns[1] == ours and 1 or 2)
      local closing = pusher.closing(pusher.session(turns[1], REPO), tool.digest(text))
      local reply = turns[2]:request("PUT", closing, { body = text })
      assert.equal(201, reply.status, reply.body)
      local blob = ("/v2/%s/blobs/%s"):format(REPO, tool.digest(text))
      assert.is_true(turns[1]:request("GET", blob).body == text)

      local place = pusher.session(turns[1], REPO)
      assert.equal(204, turns[2]:request("DELETE", place).status)
      assert.equal(404, turns[1]:request("GET", place).status)
    end
  end)

  case("tell a client that is at the wrong byte where to go on", function()
    local place = pusher.place(chunk(ours, pusher.session(ours, REPO), 1))
    local reply = ours:request("PATCH", place,
      { body = "?", headers = { ["Content-Range"] = "5-5" } })
    assert.equal(416, reply.status)
    assert.equal(204, theirs:request("GET", pusher.place(reply)).status)
    chunk(theirs, place, 2)
    -- a client that has lost the last answer: the other one goes by the state, we by what is there
    assert.equal("BLOB_UPLOAD_INVALID",
      (pusher.decode(chunk(theirs, place, 2).body).errors[1].code))
    reply = ours:request("GET", place)
    assert.equal("0-" .. 2 * STEP - 1, reply.header("range"))
    assert.equal(202, chunk(theirs, pusher.place(reply), 3).status)
  end)

  case("do so by the secret that they share", function()
    local place = pusher.session(ours, REPO)
    local stranger = peer.start(folder, "another")
    local plain = pusher.registry("", { data = folder })
    local refused = stranger:request("GET", place)
    local bare = theirs:request("GET", pusher.session(plain, REPO))
    local taken = plain:request("GET", place)
    stranger:stop()
    plain:stop()
    for _, reply in ipairs { refused, bare } do
      assert.equal(404, reply.status)
      assert.equal("BLOB_UPLOAD_INVALID", (pusher.decode(reply.body).errors[1].code))
    end
    assert.equal(204, taken.status)
    assert.is_nil(pusher.place(taken):find("?", 1, true))
  end)

  case("pass over a session whose beginning a crash has torn", function()
    local place = pusher.session(ours, REPO)
    local id = place:match("/([0-9a-f-]+)%?")
    tool.write(("%s/docker/registry/v2/repositories/%s/_uploads/%s/startedat")
      :format(folder, REPO, id), "2026-11-")
    local reply = ours:request("GET", place)
    assert.equal(204, reply.status)
    assert.is_nil(pusher.place(reply):find("?", 1, true))
    assert.equal(500, theirs:request("GET", place).status)
  end)

  case("keep the secret to themselves", function()
    local secret = "hush-" .. tool.sha256(folder):sub(1, 12)
    local g = pusher.registry(('http_secret = "%s"'):format(secret),
      { data = folder, config = 'log = { level = "debug" },' })
    chunk(g, pusher.session(g, REPO), 1)
    local seen = { g:log() }
    for _, command in ipairs { "status --json", "check " .. g.path,
      ("explain %s POST /v2/%s/blobs/uploads/"):format(g.path, REPO) } do
      local ok, out = g:command(command)
      assert.is_true(ok, out)
      seen[#seen + 1] = out
    end
    g:stop()
    assert.is_nil(table.concat(seen):find(secret, 1, true))
  end)
end)

describe("the option http_secret", function()
  it("is refused when it is no secret, or none that the other registry could use", function()
    for _, case in ipairs {
      { 'http_secret = ""', "'http_secret' must not be empty" },
      { "http_secret = 7", "'http_secret' must be a string, it is a number" },
      { 'http_secret = "hush", prefix = "/v2/team"',
        "'http_secret' is for the prefix \"/v2\", where the other registry answers, not "
          .. '"/v2/team"' },
    } do
      local ok, why = pcall(pusher.registry, case[1])
      assert.is_false(ok)
      assert.truthy(why:find("gateway.lua:5: registry: " .. case[2], 1, true), why)
      assert.is_nil(why:find("hush", 1, true))
    end
  end)
end)
