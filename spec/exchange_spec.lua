-- SPDX-License-Identifier: Apache-2.0
--
-- One directory, two registries, one after the other: what tidegate wrote docker-registry reads,
-- and the other way round; unfinished uploads included.
local json = require "dkjson"
local pusher = require "spec.pusher"
local peer = require "spec.peer"
local tool = require "spec.tool"

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

  it("docker-registry, then tidegate", function() exchange(peer.start, start_tidegate) end)
end)
