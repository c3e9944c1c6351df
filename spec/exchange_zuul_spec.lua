-- SPDX-License-Identifier: Apache-2.0
--
-- One directory, two registries at once: what tidegate wrote zuul-registry reads, and the other way
-- round; unfinished uploads included.
local image = require "spec.image"
local json = require "dkjson"
local pusher = require "spec.pusher"
local recorded = require "spec.zuul_tree"
local tool = require "spec.tool"
local zuul = require "spec.zuul"

local OCI, DOCKER, TEXTS, DIGESTS = recorded.OCI, recorded.DOCKER, recorded.TEXTS, recorded.DIGESTS
local CONFIG, LAYER, LAYER_DIGEST = recorded.CONFIG, recorded.LAYER, recorded.LAYER_DIGEST
local get, tree_of = recorded.get, recorded.tree_of

describe("zuul-registry beside tidegate", function()
  local folder, g, z

  setup(function()
    if zuul.missing() then return end
    folder = tool.tmpdir()
    g = pusher.registry('layout = require "layouts.zuul",', { data = folder })
    z = zuul.start(folder)
  end)

  local function it_shows(name, f)
    it(name, function()
      if zuul.missing() then pending(zuul.missing()) end
      f()
    end)
  end

  teardown(function()
    if not folder then return end
    for _, server in ipairs { g, z } do server:stop() end
    tool.remove(folder)
  end)

  it_shows("shows what the other one took, and both add media types to a tag", function()
    for _, pair in ipairs { { g, z, "a" }, { z, g, "b" } } do
      local first, second, repo = pair[1], pair[2], "ci/" .. pair[3]
      local config = pusher.blob(first, repo, CONFIG, "c")
      local layer = pusher.blob(first, repo, LAYER, "l")
      assert.same({ 10, 5 }, { config.size, layer.size })
      for i, media_type in ipairs { OCI, DOCKER } do
        local server = i == 1 and first or second
        local reply = pusher.put_manifest(server, repo, "v1", TEXTS[media_type], media_type)
        assert.equal(201, reply.status, reply.body)
      end
      for _, server in ipairs { first, second } do
        for media_type, text in pairs(TEXTS) do
          for _, ref in ipairs { "v1", DIGESTS[media_type] } do
            local reply = get(server, repo, ref, media_type)
            assert.same({ 200, media_type, text },
              { reply.status, reply.header "content-type", reply.body })
          end
        end
        assert.equal(LAYER, server:request("GET", ("/v2/%s/blobs/%s"):format(repo,
          LAYER_DIGEST)).body)
        local list = server:request("GET", ("/v2/%s/tags/list"):format(repo))
        assert.same({ "v1" }, pusher.decode(list.body).tags)
      end
    end
  end)

  it_shows("goes on with its uploads, and lets it go on with its own", function()
    for round = 1, 4 do
      local text = tool.bytes(200000 + round, round)
      local digest = tool.digest(text)
      local servers = { round % 2 == 0 and g or z, round % 2 == 0 and z or g }
      local location = pusher.session(servers[1], "ci/up")
      for i = 0, 3 do
        local part = text:sub(i * 50000 + 1, i < 3 and (i + 1) * 50000 or -1)
        local reply = servers[(i + 1) % 2 + 1]:request("PATCH", location, { body = part })
        assert.same({ 202, ("0-%d"):format(i < 3 and (i + 1) * 50000 - 1 or #text - 1) },
          { reply.status, reply.header "range" })
      end
      local reply = servers[round > 2 and 1 or 2]:request("PUT", location .. "?digest=" .. digest)
      assert.equal(201, reply.status, reply.body)
      for _, server in ipairs(servers) do
        assert.is_true(server:request("GET", "/v2/ci/up/blobs/" .. digest).body == text)
      end
    end
    assert.same({}, g:files "_local/uploads")
  end)

  it_shows("is carried to and fro by skopeo", function()
    if not tool.has "skopeo" then pending "skopeo is not installed" end
    image.build(folder .. "-image", { 100000, 7 }, 5)
    local function copy(from, to)
      tool.must(("skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "
        .. "--dest-creds %s %s %s"):format(zuul.user, from, to))
    end
    copy(("oci:%s-image:v1"):format(folder), ("docker://%s/ci/one:v1"):format(z.address))
    copy(("docker://%s/ci/one:v1"):format(g.address), ("docker://%s/ci/two:v1"):format(g.address))
    copy(("docker://%s/ci/two:v1"):format(z.address), ("oci:%s-back:v1"):format(folder))
    assert.same(image.unpack(folder .. "-image"), image.unpack(folder .. "-back"))
    tool.remove(folder .. "-image")
    tool.remove(folder .. "-back")
  end)

  it_shows("prunes a directory in which tidegate keeps more than it knows", function()
    recorded.push(g)
    assert.equal(202, g:request("DELETE", "/v2/ci/app/manifests/" .. DIGESTS[DOCKER]).status)
    local text = json.encode { schemaVersion = 2, mediaType = OCI, layers = json.decode "[]",
      subject = { mediaType = OCI, digest = DIGESTS[OCI], size = 1 } }
    assert.equal(201, pusher.put_manifest(g, "ci/app", tool.digest(text), text).status)
    local before = tree_of(folder)
    zuul.prune(folder, 3600)
    assert.same(before, tree_of(folder))
  end)
end)

