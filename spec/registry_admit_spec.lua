-- SPDX-License-Identifier: Apache-2.0
--
-- Manifests that are let in or refused by the option `admit`.
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local HOOK = [[
  admit = function(m, q)
    local rules = {
      labels = function()
        return m:labels().team ~= nil, "an image needs a label team"
      end,
      notes = function() return m.annotations.ok == "yes", "not ok" end,
      layers = function() return #m.layers <= 2, "too many layers" end,
      kinds = function() return m.artifactType == nil or q.tag == "sig", "no artifacts here" end,
      quiet = function() return false end,
      nothing = function() end,
      broken = function() error "a mistake" end,
      wrong = function() return "fine" end,
      missing = function() disk:copy("no", "yes") return true end,
      loop = function() while true do end end,
      all = function()
        gate.log.info("told", { what = gate.json.encode {
          digest = m.digest, size = m.size, type = m.mediaType, artifact = m.artifactType,
          tags = gate.json.array(m.tags), notes = m.annotations, subject = m.subject,
          config = m.config and m.config.digest, layers = #m.layers, manifests = #m.manifests,
          image = m:image() ~= nil, same = m:image() == m:image(), version = m.json.schemaVersion,
          user = q.user.name, repo = q.repo, action = q.action } })
        return true, "all are let in"
      end,
    }
    return rules[q.repo]()
  end,
]]

describe("admit", function()
  local g

  setup(function() g = pusher.registry(HOOK, { config = "limits = { slice = '50ms' }" }) end)
  teardown(function() g:stop() end)

  -- Pushes an image with this configuration, n layers and further fields; returns the reply and
  -- the manifest's text.
  local function push(repo, ref, config, n, more)
    local doc = { schemaVersion = 2, mediaType = pusher.IMAGE,
      config = pusher.blob(g, repo, config, pusher.CONFIG), layers = {} }
    for i = 1, n do doc.layers[i] = pusher.blob(g, repo, tool.bytes(50, i)) end
    for name, value in pairs(more or {}) do doc[name] = value end
    local text = json.encode(doc)
    return pusher.put_manifest(g, repo, ref or tool.digest(text), text), text
  end

  local function refused(why, repo, ...)
    local reply, text = push(repo, ...)
    assert.equal(403, reply.status)
    local e = pusher.decode(reply.body).errors[1]
    assert.equal("DENIED", e.code)
    assert.equal(why, e.message)
    assert.equal(tool.digest(text), e.detail.digest)
    local path = ("/v2/%s/manifests/%s"):format(repo, tool.digest(text))
    assert.equal(404, g:request("GET", path).status)
  end

  local TEAM = '{"config":{"Labels":{"team":"red"}}}'

  it("decides by labels, annotations, layers and types, and the client reads why", function()
    assert.equal(201, push("labels", "v1", TEAM, 1).status)
    refused("an image needs a label team", "labels", "v1", '{"config":{"Labels":null}}', 1)
    refused("an image needs a label team", "labels", "v1", "{}", 1)
    assert.equal(201, push("notes", "v1", "{}", 1, { annotations = { ok = "yes" } }).status)
    refused("not ok", "notes", "v1", "{}", 1)
    refused("not ok", "notes", "v1", "{}", 1, { annotations = json.null })
    assert.equal(201, push("layers", nil, "{}", 2).status)
    refused("too many layers", "layers", nil, "{}", 3)
    local artifact = { artifactType = "application/x-sig" }
    refused("no artifacts here", "kinds", "v1", "{}", 1, artifact)
    assert.equal(201, push("kinds", "sig", "{}", 1, artifact).status)
    refused("this manifest is not let in", "quiet", "v1", "{}", 1)
    refused("this manifest is not let in", "nothing", "v1", "{}", 1)
  end)

  it("is told what the manifest is", function()
    local subject = { mediaType = pusher.IMAGE, digest = tool.digest "s", size = 1 }
    local reply, text = push("all", "v1", TEAM, 2, { annotations = { a = "b" }, subject = subject })
    assert.equal(201, reply.status)
    local function told(t)
      local line = g:logged('what="([^\n]*' .. tool.digest(t) .. '[^\n]*)" id')
      return pusher.decode((line:gsub('\\"', '"')))
    end
    local m = told(text)
    local config = pusher.decode(text).config.digest
    assert.same({ digest = tool.digest(text), size = #text, type = pusher.IMAGE, tags = { "v1" },
      notes = { a = "b" }, subject = subject, config = config, layers = 2, manifests = 0,
      image = true, same = true, version = 2, user = "", repo = "all", action = "tag" }, m)
    text = '{"schemaVersion":2,"manifests":[]}'
    local by_digest = tool.digest(text) .. "?tag=a&tag=b"
    assert.equal(201, pusher.put_manifest(g, "all", by_digest, text, pusher.INDEX).status)
    m = told(text)
    assert.same({ "a", "b" }, m.tags)
    assert.equal("application/vnd.oci.image.index.v1+json", m.type)
    assert.is_false(m.image)
  end)

  it("reads no configuration that is no JSON or larger than 4 MiB", function()
    for _, config in ipairs { "no json", "[]x", ('{"a":"%s"}'):format(("x"):rep(4 * 2 ^ 20)) } do
      local reply, text = push("all", "v1", config, 1)
      assert.equal(201, reply.status)
      assert.truthy(g:logged(tool.digest(text) .. "[^\n]*false"))
      refused("an image needs a label team", "labels", "v1", config, 1)
    end
  end)

  it("with a mistake lets nothing in", function()
    for repo, logged in pairs { broken = "a mistake", wrong = "admit must return true",
      missing = "an option's function failed[^\n]*NOT_FOUND",
      loop = tool.watchdog_works and "ran longer than 50ms" or nil } do
      local reply, text = push(repo, "v1", "{}", 1)
      assert.equal(500, reply.status)
      assert.is_nil(reply.body:find("mistake", 1, true))
      assert.truthy(g:logged(logged), logged)
      for _, ref in ipairs { "v1", tool.digest(text) } do
        assert.equal(404, g:request("GET", ("/v2/%s/manifests/%s"):format(repo, ref)).status)
      end
    end
  end)
end)
