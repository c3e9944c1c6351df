-- SPDX-License-Identifier: Apache-2.0
--
-- Several registries in one process, apart by the name of the host or by the beginning of
-- repositories' names: what one holds, no other shows.
local gateway = require "spec.gateway"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"

local HEAD = [[
local gate = require "tidegate"
local registry = require "apps.registry"
gate.config { listen = gate.env "TIDEGATE_LISTEN" }
local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA", durability = "async" }
]]

local SCRIPT = HEAD .. [[
gate.serve {
  registry { store = disk:at "ci", host = { "ci.example.org", "CI.example.net" } },
  registry { store = disk:at "wild", host = "*.team.example.org" },
  registry { store = disk:at "a", prefix = "/v2/a" },
  registry { store = disk:at "rest" },
  gate.health "/healthz",
}
]]

-- The gateway as one host sees it.
local function of_host(g, host)
  return setmetatable({
    request = function(_, method, path, options)
      options = options or {}
      local headers = { Host = host }
      for name, value in pairs(options.headers or {}) do headers[name] = value end
      return g:request(method, path, { body = options.body, headers = headers })
    end,
  }, { __index = g })
end

describe("namespaces", function()
  local g
  setup(function() g = gateway.start { script = SCRIPT } end)
  teardown(function() g:stop() end)

  local function tags(view, repo)
    local reply = view:request("GET", ("/v2/%s/tags/list"):format(repo))
    return reply.status == 200 and pusher.decode(reply.body) or reply.status
  end

  it("are chosen by the host, in any case and with any port", function()
    pusher.image(of_host(g, "ci.example.org"), "app", "v1", 1)
    for _, host in ipairs { "ci.example.org", "CI.Example.ORG:5000", "ci.example.net:" } do
      assert.same({ name = "app", tags = { "v1" } }, tags(of_host(g, host), "app"), host)
    end
    for _, host in ipairs { "example.org", "x.ci.example.org", "127.0.0.1", "", "[::1]:5000" } do
      assert.equal(404, tags(of_host(g, host), "app"), host)
    end
  end)

  it("are chosen by a wildcard for one label", function()
    pusher.image(of_host(g, "x.team.example.org"), "app", "v2", 2)
    assert.same({ name = "app", tags = { "v2" } }, tags(of_host(g, "y.team.example.org"), "app"))
    for _, host in ipairs { "team.example.org", "a.b.team.example.org" } do
      assert.equal(404, tags(of_host(g, host), "app"), host)
    end
  end)

  it("know their own owners of a blob, for a mount that does not say from where", function()
    local ci, wild = of_host(g, "ci.example.org"), of_host(g, "x.team.example.org")
    local digest = tool.digest "for both"
    for _, case in ipairs { { wild, "own/wild" }, { ci, "own/ci" } } do
      pusher.blob(case[1], case[2], "for both")
    end
    local path = "/v2/own/new/blobs/uploads/?mount=" .. digest
    assert.equal(201, wild:request("POST", path).status)
    assert.equal(200, wild:request("HEAD", "/v2/own/new/blobs/" .. digest).status)
    assert.equal(404, ci:request("HEAD", "/v2/own/new/blobs/" .. digest).status)
  end)

  it("show what has no host of its own on every one", function()
    assert.equal(200, of_host(g, "ci.example.org"):request("GET", "/healthz").status)
  end)

  it("are chosen by the beginning of the name, which clients see", function()
    pusher.image(g, "a/app", "v3", 3)
    assert.same({ name = "a/app", tags = { "v3" } }, tags(g, "a/app"))
    assert.same({ repositories = { "a/app" } },
      pusher.decode(g:request("GET", "/v2/a/_catalog").body))
    assert.same({ repositories = {} },
      pusher.decode(g:request("GET", "/v2/a/_catalog?last=a/app").body))
    assert.equal("/v2/a/app/blobs/uploads/",
      pusher.session(g, "a/app"):sub(1, #"/v2/a/app/blobs/uploads/"))
  end)

  it("never show the same content of one in another", function()
    local digest = pusher.blob(g, "a/secret", "a secret of a").digest
    local ci = of_host(g, "ci.example.org")
    for _, path in ipairs { "/v2/secret/blobs/", "/v2/a/secret/blobs/", "/v2/app/blobs/" } do
      assert.equal(404, ci:request("HEAD", path .. digest).status, path)
    end
    assert.equal(404, g:request("HEAD", "/v2/secret/blobs/" .. digest).status)
    local function mount(view, repo, from)
      return view:request("POST", ("/v2/%s/blobs/uploads/?mount=%s&from=%s"):format(repo, digest,
        from)).status
    end
    assert.equal(202, mount(ci, "app", "a/secret"))
    assert.equal(202, mount(g, "other", "a/secret"))
    assert.equal(202, mount(g, "other", "secret"))
    assert.equal(202, mount(g, "a/app", "secret"))
    assert.equal(201, mount(g, "a/app", "a/secret"))
  end)
end)

describe("a script whose registries would write among each other's objects", function()
  for _, case in ipairs {
    { "registry { store = disk }, registry { store = disk, prefix = '/v2/a' }",
      "the registry at /v2 and the registry at /v2/a keep their objects in the same place: "
      .. "'docker/registry/v2/'" },
    { "registry { store = disk:at 'docker', prefix = '/v2/a' }, "
      .. "gate.space { store = disk, key = tostring }", "the registry at /v2/a and a gate.space" },
    { "registry { store = disk }, registry { store = disk, host = 'a', shared = true }",
      "or both 'shared = true'" },
    { "registry { store = disk, shared = true }, registry { store = disk, shared = true }",
      "two applications with the prefix '/v2'" },
    { "disk:at 'a':claim('the attic', { below = 'b' }), gate.space { store = disk:at 'a/b/c', "
      .. "key = tostring }", "the attic and a gate.space" },
    { "registry { store = disk, host = 'a b' }", "'host' must be a name such as" },
    { "registry { store = disk, host = {} }", "'host' must be a name such as" },
    { "registry { store = disk, host = { 'a', 7 } }", "'host' must be a name such as" },
  } do
    it("does not load: " .. case[1], function()
      local folder = tool.tmpdir()
      tool.write(folder .. "/gate.lua", HEAD .. "gate.serve { " .. case[1] .. " }")
      local ok, out = tool.run(("TIDEGATE_DATA=%s %s check %s/gate.lua"):format(folder, PROGRAM,
        folder))
      tool.remove(folder)
      assert.is_false(ok)
      assert.truthy(out:find(case[2], 1, true), out)
    end)
  end
end)

it("registries that share one place show the same, each by its own rules", function()
  local g = gateway.start { script = HEAD .. [[
    local function read(q) return q.action == "pull" end
    gate.serve {
      registry { store = disk, shared = true, host = "inside" },
      registry { store = disk, shared = true, allow = read },
    }]] }
  pusher.image(of_host(g, "inside"), "app", "v1", 4)
  assert.equal(200, g:request("GET", "/v2/app/manifests/v1").status)
  assert.equal(401, g:request("POST", "/v2/app/blobs/uploads/").status)
  g:stop()
end)
