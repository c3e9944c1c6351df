-- SPDX-License-Identifier: Apache-2.0
--
-- Tags that are set once, through whatever gateway, and stay.
local pusher = require "spec.pusher"
local tool = require "spec.tool"
local wire = require "spec.wire"

local HEADERS = { ["Content-Type"] = pusher.INDEX }

-- The text of an index that names nothing; each seed makes another one.
local function index(seed)
  return ('{"schemaVersion":2,"mediaType":"%s","manifests":[],"annotations":{"seed":"%s"}}')
    :format(pusher.INDEX, seed)
end

local function put(g, repo, ref, seed)
  return pusher.put_manifest(g, repo, ref, index(seed), pusher.INDEX)
end

local function digest_of(g, repo, tag)
  return g:request("HEAD", ("/v2/%s/manifests/%s"):format(repo, tag))
    .header "docker-content-digest"
end

describe("an immutable tag", function()
  local g

  setup(function() g = pusher.registry [[ immutable = { "v*", "{rel,lts}-*" } ]] end)
  teardown(function() g:stop() end)

  it("is set once; the same manifest again is no change", function()
    for _, tag in ipairs { "v1", "rel-1", "lts-2" } do
      assert.equal(201, put(g, "a", tag, 1).status)
      assert.equal(201, put(g, "a", tag, 1).status)
      local reply = put(g, "a", tag, 2)
      assert.equal(403, reply.status)
      local code, detail = pusher.code(reply)
      assert.equal("DENIED", code)
      assert.same({ action = "tag", name = "a", tag = tag, digest = tool.digest(index(1)) }, detail)
      assert.equal(("the tag %s is immutable"):format(tag),
        pusher.decode(reply.body).errors[1].message)
      assert.equal(tool.digest(index(1)), digest_of(g, "a", tag))
    end
    assert.equal(404, g:request("GET", "/v2/a/manifests/" .. tool.digest(index(2))).status)
    assert.equal(201, put(g, "a", "edge", 1).status)
    assert.equal(201, put(g, "a", "edge", 2).status)
  end)

  it("is not set by ?tag= beside a digest, either", function()
    assert.equal(201, put(g, "q", "v1", 1).status)
    local other = tool.digest(index(2))
    assert.equal(403, put(g, "q", other .. "?tag=edge&tag=v1", 2).status)
    assert.is_nil(digest_of(g, "q", "edge"))
    assert.equal(201, put(g, "q", other .. "?tag=v2&tag=v3", 2).status)
    assert.equal(other, digest_of(g, "q", "v3"))
  end)

  it("is not deleted, and neither is its manifest", function()
    put(g, "d", "v1", 1)
    put(g, "d", "edge", 1)
    put(g, "d", "other", 2)
    local digest = tool.digest(index(1))
    for ref, action in pairs { v1 = "untag", [digest] = "delete" } do
      local reply = g:request("DELETE", "/v2/d/manifests/" .. ref)
      assert.equal(403, reply.status)
      local code, detail = pusher.code(reply)
      assert.equal("DENIED", code)
      assert.same({ action = action, name = "d", tag = "v1", digest = digest }, detail)
    end
    assert.equal(digest, digest_of(g, "d", "v1"))
    assert.equal(digest, digest_of(g, "d", "edge"), "no other tag went away, either")
    assert.equal(404, g:request("DELETE", "/v2/d/manifests/v9").status)
    assert.equal(202, g:request("DELETE", "/v2/d/manifests/edge").status)
    assert.equal(202, g:request("DELETE", "/v2/d/manifests/" .. tool.digest(index(2))).status)
  end)

  it("that a crash of another registry has torn is set anew", function()
    put(g, "t", "v1", 1)
    local link = g.data .. "/docker/registry/v2/repositories/t/_manifests/tags/v1/current/link"
    tool.write(link, "")
    assert.equal(201, put(g, "t", "v1", 2).status)
    assert.equal(tool.digest(index(2)), digest_of(g, "t", "v1"))
    assert.equal(403, put(g, "t", "v1", 1).status)
  end)

  it("is explained by skopeo", function()
    pusher.image(g, "s", "v1", 1)
    pusher.image(g, "s", "edge", 2)
    local ok, out = tool.run(("skopeo copy --src-tls-verify=false --dest-tls-verify=false "
      .. "docker://%s/s:edge docker://%s/s:v1 2>&1"):format(g.address, g.address))
    assert.is_false(ok)
    assert.truthy(out:find("denied: the tag v1 is immutable", 1, true), out)
  end)
end)

describe("the option immutable", function()
  it("may be a function; one with a mistake changes nothing", function()
    local g = pusher.registry [[
      immutable = function(repo, tag)
        if tag == "broken" then error "a mistake" end
        if tag == "wrong" then return "yes" end
        return repo == "frozen" and tag ~= "edge"
      end,
    ]]
    assert.equal(201, put(g, "frozen", "x", 1).status)
    assert.equal(403, put(g, "frozen", "x", 2).status)
    assert.equal(201, put(g, "other", "x", 1).status)
    assert.equal(201, put(g, "other", "x", 2).status)
    for _, tag in ipairs { "broken", "wrong" } do
      assert.equal(500, put(g, "other", tag, 1).status)
      assert.is_nil(digest_of(g, "other", tag))
      assert.equal(500, g:request("DELETE", "/v2/other/manifests/" .. tag).status)
    end
    assert.truthy(g:logged "a mistake")
    assert.truthy(g:logged "immutable must return true, or false")
    g:stop()
  end)

  it("is checked when the script loads", function()
    for option, wrong in pairs {
      ['"v*"'] = "'immutable' must be a list of globs or a function",
      ["{ v = true }"] = "'immutable' must be a list of globs or a function",
      ['{ "v[0-9]" }'] = "'immutable': no sets",
    } do
      local ok, why = pcall(pusher.registry, "immutable = " .. option)
      assert.is_false(ok)
      assert.truthy(why:find("gateway.lua:5: registry: " .. wrong, 1, true), why)
    end
  end)
end)

describe("an immutable tag that is set by several at once", function()
  local ROUNDS, RACERS = 40, 4
  local gateways, data

  setup(function()
    data = tool.tmpdir()
    gateways = {}
    for i = 1, 2 do
      gateways[i] = pusher.registry([[ immutable = { "v*" } ]],
        { data = data, store = 'durability = "async"' })
    end
  end)
  teardown(function()
    for _, g in ipairs(gateways) do g:stop() end
    tool.remove(data)
  end)

  -- Sends all requests, each { method, reference, seed }, before it reads an answer; returns the
  -- statuses.
  local function race(requests)
    local open, statuses = {}, {}
    for i, r in ipairs(requests) do
      local body = r[3] and index(r[3])
      open[i] = gateways[i % 2 + 1]:raw()
      open[i]:send(wire.head(r[1], "/v2/r/manifests/" .. r[2], { headers = HEADERS, body = body })
        .. (body or ""))
    end
    for i, c in ipairs(open) do
      statuses[i] = c:read_reply().status
      c:close()
    end
    return statuses
  end

  it("has exactly one winner, and names what that one pushed", function()
    for round = 1, ROUNDS do
      local tag, requests, winner = "v" .. round, {}, nil
      for i = 1, RACERS do requests[i] = { "PUT", tag, round .. "-" .. i } end
      for i, status in ipairs(race(requests)) do
        if status == 201 then
          assert.is_nil(winner, "two have won")
          winner = i
        else
          assert.equal(403, status)
        end
      end
      assert.truthy(winner, "nobody has won")
      local digest = tool.digest(index(requests[winner][3]))
      for _, g in ipairs(gateways) do assert.equal(digest, digest_of(g, "r", tag)) end
      local history = data .. "/docker/registry/v2/repositories/r/_manifests/tags/" .. tag
      history = history .. "/index"
      assert.same({ "sha256/" .. digest:sub(8) .. "/link" }, tool.files(history))
    end
  end)

  it("keeps its manifest when that is deleted at the same moment", function()
    for round = 1, ROUNDS do
      local tag, digest = "v-kept-" .. round, tool.digest(index(round))
      assert.equal(201, put(gateways[1], "r", digest, round).status)
      local statuses = race { { "DELETE", digest }, { "PUT", tag, round } }
      assert.truthy(statuses[1] == 403 or statuses[1] == 202, statuses[1])
      assert.equal(201, statuses[2])
      assert.equal(digest, digest_of(gateways[1], "r", tag))
      assert.equal(200, gateways[2]:request("GET", "/v2/r/manifests/" .. digest).status)
    end
  end)
end)
