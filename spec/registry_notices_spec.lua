-- SPDX-License-Identifier: Apache-2.0
local gateway = require "spec.gateway"
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local MISSING = "sha256:" .. ("0"):rep(64)

describe("a registry with the option", function()
  local g
  after_each(function() g:stop() end)

  local function head(path) return g:request("HEAD", "/v2/" .. path) end

  it("warn adds warnings, in the form that the specification wants", function()
    g = pusher.registry [[
      warn = function(q)
        if q.repo == "w/none" then return nil end
        if q.repo == "w/long" then return { ("x"):rep(4000), ("y"):rep(200), "z" } end
        if q.repo == "w/many" then
          local list = {}
          for i = 1, 12 do list[i] = "w" .. i end
          return list
        end
        if q.repo == "w/wait" then gate.sleep("1ms") end
        return { q.action .. " of " .. q.repo .. ":" .. (q.tag or "-"), 'say "\\"' .. "\r\nX: y" }
      end,
    ]]
    local expected = '299 - "pull of w/a:v1", 299 - "say \\"\\\\\\"  X: y"'
    for _, repo in ipairs { "w/a", "w/none", "w/long", "w/many", "w/wait" } do
      pusher.image(g, repo, "v1")
    end
    local reply = head "w/a/manifests/v1"
    assert.equal(expected, reply.header("warning"))
    assert.equal(2, reply.count("warning"))
    assert.is_nil(reply.header("x"))
    assert.equal((expected:gsub("w/a", "w/wait")), head("w/wait/manifests/v1").header("warning"))
    assert.is_nil(head("w/none/manifests/v1").header("warning"))
    assert.equal('299 - "' .. ("x"):rep(4000) .. '"', head("w/long/manifests/v1").header("warning"))
    assert.equal(10, head("w/many/manifests/v1").count("warning"))
    assert.is_truthy(g:logged "warnings left out")
    reply = g:request("PUT", "/v2/w/a/manifests/v2",
      { body = g:request("GET", "/v2/w/a/manifests/v1").body })
    assert.equal(201, reply.status)
    assert.matches('^299 %- "tag of w/a:v2"', reply.header("warning"))
    assert.is_nil(g:request("GET", "/v2/w/a/manifests/none").header("warning"))
    assert.is_nil(g:request("GET", "/v2/").header("x"))
  end)

  it("warn changes no answer when it fails", function()
    g = pusher.registry [[
      warn = function(q)
        if q.repo == "w/bad" then return 7 end
        if q.repo == "w/worse" then return { {} } end
        if q.repo == "w/fail" then gate.fail(404, "UNKNOWN", "not found") end
        error("a mistake")
      end,
    ]]
    for _, repo in ipairs { "w/bad", "w/worse", "w/fail", "w/error" } do
      pusher.image(g, repo, "v1")
      local reply = head(repo .. "/manifests/v1")
      assert.equal(200, reply.status)
      assert.is_nil(reply.header("warning"))
    end
    assert.is_truthy(g:logged "a mistake")
    assert.is_truthy(g:logged "option=warn")
  end)

  it("mirrors shows the images of other hosts, and says whose they are", function()
    g = pusher.registry [[ mirrors = { ["docker.io"] = "hub", ["quay.io:443"] = "other/quay" },
      allow = function(q)
        gate.log.info("asked", { repo = q.repo, action = q.action })
        return q.repo ~= "hub/secret"
      end,
    ]]
    local digest, text = pusher.image(g, "hub/library/busybox", "v1")
    local layer = json.decode(text).layers[1].digest
    local function get(method, path, ns)
      local reply = g:request(method, ("/v2/%s?ns=%s"):format(path, ns))
      assert.equal(ns == "docker.io" and ns or nil, reply.header("oci-namespace"))
      return reply
    end
    for _, path in ipairs {
      "manifests/v1", "manifests/" .. digest, "blobs/" .. layer, "tags/list",
      "referrers/" .. digest,
    } do
      assert.equal(200, get("GET", "library/busybox/" .. path, "docker.io").status, path)
      local other = get("GET", "library/busybox/" .. path, "ghcr.io").status
      assert.equal(path:find("^referrers") and 200 or 404, other)
    end
    assert.equal(404, get("GET", "library/none/manifests/v1", "docker.io").status)
    assert.equal(401, get("GET", "secret/manifests/v1", "docker.io").status)
    assert.equal(202, g:request("POST", "/v2/pushed/blobs/uploads/?ns=docker.io").status)
    assert.is_truthy(g:logged "asked[^\n]*repo=pushed")
  end)

  it("sparse takes manifests whose blobs are not there", function()
    g = pusher.registry "sparse = true,"
    local layer = { mediaType = pusher.LAYER, digest = MISSING, size = 1 }
    local text = json.encode { mediaType = pusher.IMAGE, config = layer, layers = { layer } }
    assert.equal(201, pusher.put_manifest(g, "s/a", "v1", text).status)
    assert.equal(text, g:request("GET", "/v2/s/a/manifests/v1").body)
    local bad = '{"layers":[{"digest":"x"}]}'
    assert.equal(400, pusher.put_manifest(g, "s/a", "v2", bad).status)
  end)

  it("none of them names every blob that is missing, up to a hundred", function()
    g = pusher.registry()
    for _, n in ipairs { 3, 120 } do
      local layers = {}
      for i = 1, n do
        layers[i] = { mediaType = pusher.LAYER, digest = tool.digest("no " .. i), size = 1 }
      end
      local text = json.encode { mediaType = pusher.IMAGE, layers = layers }
      local reply = pusher.put_manifest(g, "s/a", "v1", text)
      assert.equal(404, reply.status)
      local errors = pusher.decode(reply.body).errors
      assert.equal(math.min(n, 100), #errors)
      for i, e in ipairs(errors) do
        assert.same({ "MANIFEST_BLOB_UNKNOWN", layers[i].digest }, { e.code, e.detail.digest })
      end
    end
  end)

  it("mirrors refuses what is no name when it loads", function()
    g = pusher.registry()
    for _, bad in ipairs { '{ "hub" }', '{ ["docker.io"] = "UPPER" }', '{ ["docker.io"] = 7 }' } do
      local ok, why = pcall(gateway.start, { script = ([[
        local gate = require "tidegate"
        gate.config { listen = gate.env("TIDEGATE_LISTEN") }
        gate.serve { require("apps.registry") {
          store = gate.store.mem { name = "x" }, mirrors = %s } }
      ]]):format(bad) })
      assert.is_false(ok)
      assert.is_truthy(why:find("option 'mirrors'", 1, true), why)
    end
  end)
end)
