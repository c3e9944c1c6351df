-- SPDX-License-Identifier: Apache-2.0
--
-- Real clients against a real gateway: each scenario with each client, and what one has pushed is
-- pulled by all. spec/clients_login_spec.lua is about those who have a password.
local clients = require "spec.clients"
local crowd = require "spec.crowd"
local gateway = require "spec.gateway"
local image = require "spec.image"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local WHY = "only the builder may push here"
local RULES = ([[
  allow = function(q) return q.repo ~= "shut" or q.action == "pull", %q end,
]]):format(WHY)

local FILES = {
  few = tool.bytes(10, 1), some = tool.bytes(300000, 2), many = tool.bytes(3000000, 3),
}
local ARMS = { few = tool.bytes(10, 4), arm = tool.bytes(70000, 5) }
local CUT_BYTES = 2000000 -- of the largest layer

-- Those that push what they are given byte by byte, so all of them push the same blobs.
local EXACT = { curl = true, skopeo = true, crane = true, regctl = true, oras = true }
local AT_ONCE, ROUNDS = 8, os.getenv "CLIENTS" and 10 or 1

local wanted = clients.wanted()

describe("clients", function()
  local g, folder, started = nil, tool.tmpdir(), {}

  setup(function() g = pusher.registry(RULES) end)

  teardown(function()
    for _, client in pairs(started) do client:stop() end
    g:stop()
    tool.remove(folder)
  end)

  -- The client, started when first needed; the spec that needs it is skipped without it.
  local function need(driver, ...)
    local why = clients.hindrance(driver)
    for _, operation in ipairs { ... } do why = why or driver.missing[operation] end
    if why then pending(why) end
    if not started[driver.name] then
      local at = { folder = folder .. "/" .. driver.name }
      tool.must("mkdir " .. at.folder)
      started[driver.name] = driver.start(at)
    end
    return started[driver.name]
  end

  for _, driver in ipairs(wanted) do
    local name = driver.name

    it(name .. " pushes an image, and pulls the same", function()
      local client, ref = need(driver), g.address .. "/by/" .. name .. ":v1"
      client:push(ref, FILES)
      assert.same(FILES, client:pull(ref))
      client:push(ref, FILES) -- again: all of it is there
    end)

    it(name .. " pushes an image for two architectures, and pulls each", function()
      local client, ref = need(driver, "push_index"), g.address .. "/index/" .. name .. ":v1"
      client:push_index(ref, { amd64 = FILES, arm64 = ARMS })
      assert.same(ARMS, client:pull(ref, "arm64"))
      assert.same(FILES, client:pull(ref, "amd64"))
      local index = pusher.decode(g:request("GET", "/v2/index/" .. name .. "/manifests/v1").body)
      assert.equal(2, #index.manifests)
    end)

    it(name .. " says why it may not push", function()
      local client = need(driver)
      local ok, why = pcall(client.push, client, g.address .. "/shut:v1", FILES)
      assert.is_false(ok)
      local said = driver.unauthorized or "unauthorized"
      assert.is_truthy(why:lower():find(said, 1, true), why)
      if driver.missing.reason then pending(driver.missing.reason) end
      if not driver.unauthorized then assert.is_truthy(why:find(WHY, 1, true), why) end
    end)

    it(name .. " goes on with a pull that was cut", function()
      local client, repo = need(driver, "resume"), "/cut/" .. name .. ":v1"
      client:push(g.address .. repo, FILES)
      local cutter = gateway.spawn { command = {
        "luajit", "spec/clients/relay.lua", g.host, g.port, tostring(CUT_BYTES),
      } }
      local ok, got = pcall(client.pull, client, cutter.address .. repo)
      local log = cutter:log()
      cutter:stop()
      assert(ok, got)
      assert.same(FILES, got)
      assert.is_truthy(log:find("cut after", 1, true), log)
      assert.is_truthy(log:find("range bytes=%d%d+-"), log)
    end)
  end

  for _, pushes in ipairs(wanted) do
    it("pull what " .. pushes.name .. " has pushed", function()
      local ref = g.address .. "/for/all:" .. pushes.name
      need(pushes, "images"):push(ref, FILES)
      for _, pulls in ipairs(wanted) do
        if not clients.hindrance(pulls) and not pulls.missing.images then
          assert.same(FILES, need(pulls):pull(ref), pulls.name)
        end
      end
    end)
  end

  it("push one image, eight of them at once, and each finds all of it when it has", function()
    local exact = {}
    for _, driver in ipairs(wanted) do
      if EXACT[driver.name] and not clients.hindrance(driver) then exact[#exact + 1] = driver end
    end
    if #exact == 0 then pending("none of those that push the same bytes is wanted") end
    for round = 1, ROUNDS do
      local ref = ("%s/at/once:%d"):format(g.address, round)
      local files = { few = tool.bytes(10, round), many = tool.bytes(2000000, 100 + round) }
      crowd.run(AT_ONCE, function(i)
        local driver = exact[i % #exact + 1]
        local at = { folder = ("%s/at-once-%d-%d"):format(folder, round, i) }
        tool.must("mkdir " .. at.folder)
        local client = driver.start(at)
        client:push(ref, files)
        local got = client:pull(ref)
        for name, text in pairs(files) do
          assert(got[name] == text, driver.name .. " has not pulled what it pushed")
        end
        tool.must("rm -r " .. at.folder)
      end)
    end
  end)

  -- skopeo moves bytes as they are, and is the one that can look and delete.
  it("skopeo copies byte by byte, inside the registry too; inspects, lists, deletes", function()
    if not tool.has("skopeo") then pending("skopeo is not installed") end
    local digest = image.build(folder .. "/in", { 10, 300000 })
    local at = "docker://" .. g.address .. "/sko/"
    local function skopeo(command, ...)
      return tool.must("skopeo " .. command:format(...))
    end
    local function digest_of(name)
      return g:request("HEAD", "/v2/sko/" .. name).header("docker-content-digest")
    end
    skopeo("copy --dest-tls-verify=false oci:%s/in:v1 %speo:v1", folder, at)
    assert.equal(digest, digest_of("peo/manifests/v1"))
    skopeo("copy --src-tls-verify=false %speo:v1 oci:%s/out:v1", at, folder)
    local out = image.blobs(folder .. "/out")
    assert.same(image.blobs(folder .. "/in"), out)
    for name, sha256 in pairs(out) do assert.equal(name, sha256) end
    skopeo("copy --src-tls-verify=false --dest-tls-verify=false %speo:v1 %scopy:v2", at, at)
    assert.equal(digest,
      pusher.decode(skopeo("inspect --tls-verify=false %scopy:v2", at)).Digest)
    assert.same({ "v2" }, pusher.decode(skopeo("list-tags --tls-verify=false %scopy", at)).Tags)
    skopeo("delete --tls-verify=false %scopy:v2", at)
    assert.is_nil(digest_of("copy/manifests/v2"))
    assert.equal(digest, digest_of("peo/manifests/v1"))
  end)

  -- regctl is the one that knows referrers, deletes tags and pushes in pieces with Content-Range.
  local regctl = require "spec.clients.regctl"
  if clients.is_wanted(regctl) then
    it("regctl lists artifacts, pushes a SHA-512 in pieces, deletes a tag", function()
      local client, repo = need(regctl), g.address .. "/regctl/more"
      client:push(repo .. ":v1", { few = "x" })
      client:attach(repo .. ":v1", "application/vnd.example.one", "first")
      client:attach(repo .. ":v1", "application/vnd.example.two", "second")
      local out = client:attached(repo .. ":v1", "application/vnd.example.two")
      assert.is_truthy(out:find("application/vnd.example.two", 1, true), out)
      assert.is_nil(out:find("application/vnd.example.one", 1, true), out)
      local text = tool.bytes(2500000, 8)
      local digest = "sha512:" .. tool.sha512(text)
      assert.is_truthy(client:put_blob(repo, text, digest):find(digest, 1, true))
      assert.is_true(g:request("GET", "/v2/regctl/more/blobs/" .. digest).body == text)
      client:untag(repo .. ":v1")
      assert.equal(404, g:request("HEAD", "/v2/regctl/more/manifests/v1").status)
    end)
  end

  -- oras is the one that knows artifacts, and copies them with all that refers to them.
  local oras = require "spec.clients.oras"
  if clients.is_wanted(oras) then
    it("oras pushes artifacts, lists what refers to them, copies all of it, deletes", function()
      local client, repo = need(oras), g.address .. "/oras/more"
      local text, kind = tool.bytes(300000, 9), "application/vnd.example.one"
      client:push_artifact(repo .. ":v1", kind, "some.bin", text)
      assert.same({ ["some.bin"] = text }, client:pull_artifact(repo .. ":v1"))
      client:attach(repo .. ":v1", kind, "first", "1")
      client:attach(repo .. ":v1", "application/vnd.example.two", "second", "2")
      local out = client:attached(repo .. ":v1", kind)
      assert.equal(1, #pusher.decode(out).manifests, out)
      client:copy_all(repo .. ":v1", repo .. "/copy:v2")
      out = client:attached(repo .. "/copy:v2", "application/vnd.example.two")
      assert.equal(1, #pusher.decode(out).manifests, out)
      assert.equal("v1\n", client:tags(repo)) -- no list of referrers under a tag
      assert.equal("v2\n", client:tags(repo .. "/copy"))
      client:delete(repo .. ":v1")
      assert.equal(404, g:request("HEAD", "/v2/oras/more/manifests/v1").status)
      assert.same({ ["some.bin"] = text }, client:pull_artifact(repo .. "/copy:v2"))
    end)
  end

  local helm = require "spec.clients.helm"
  if clients.is_wanted(helm) then
    it("helm finds charts by a range of versions, and writes + as _ in a tag", function()
      local client, chart = need(helm), g.address .. "/charts/app"
      local tags = {}
      for i, version in ipairs { "0.1.0", "0.1.7+build.3", "0.2.0" } do
        client:push(chart .. ":" .. version, { few = version })
        tags[i] = version:gsub("%+", "_")
      end
      assert.same({ few = "0.1.7+build.3" }, client:pull(chart .. ":~0.1.0"))
      assert.matches("\nversion: 0.2.0\n", client:show(chart .. ":>0.1.0"))
      assert.same(tags, pusher.decode(g:request("GET", "/v2/charts/app/tags/list").body).tags)
    end)
  end

  it("curl waits for 100 Continue before it sends a large blob", function()
    local text = tool.bytes(1500000, 5)
    tool.write(folder .. "/blob", text)
    local out = tool.must(("curl -sS -v -X POST --data-binary @%s/blob "
      .. "-H 'Content-Type: application/octet-stream' -H 'Expect: 100-continue' "
      .. "'http://%s/v2/curl/blobs/uploads/?digest=%s'")
      :format(folder, g.address, tool.digest(text)))
    assert.is_truthy(out:find("HTTP/1.1 100 Continue", 1, true), out)
    assert.is_truthy(out:find("HTTP/1.1 201", 1, true), out)
    assert.is_true(g:request("GET", "/v2/curl/blobs/" .. tool.digest(text)).body == text)
  end)
end)
