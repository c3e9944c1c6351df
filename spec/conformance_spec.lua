-- SPDX-License-Identifier: Apache-2.0
--
-- The cases of the distribution-spec's own conformance suite (stable 1.1 and 1.1-dev, every API and
-- kind of data switched on), under the names that it gives them. Where the suite itself can be had,
-- `make conformance` runs it; these run everywhere.
local agents = require "spec.conformance.agent"
local conformance = require "spec.conformance.client"
local data = require "spec.conformance.data"
local tool = require "spec.tool"
local users = require "spec.users"

local ANN = "c0rrecth0rse"

-- What a gateway of a way serves. Where users are known, nobody else may do a thing.
local SCRIPT = [[
  local auth = require "auth"
  local gate = require "tidegate"
  local registry = require "apps.registry"
  gate.config { listen = gate.env("TIDEGATE_LISTEN"), workers = 2 }
  local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA"), durability = "async" }
  local function known(q) return q.user.name ~= "" end
  local known_or_nobody = auth.first { auth.htpasswd "users", auth.anonymous }
  gate.serve { %s }
]]

-- The cases for one way to reach a registry:
--   serves       what is served        host, user, password   for the agent
--   space        what the repositories' names begin with
--   shows        what the agent shows of itself: nothing, "Basic" or "Bearer"
--   algorithms   of the blobs' digests       sets   names of the data's; nil: all of them
local function cases(way)
  local g, agent, one, two

  setup(function()
    g = users.start(SCRIPT:format(way.serves), { users = users.line("ann", ANN) .. "\n" })
    agent = agents.new(g, way)
    one = conformance.new(agent, way.space .. "conformance/one")
    two = conformance.new(agent, way.space .. "conformance/two")
  end)
  teardown(function()
    agent:close()
    users.stop(g)
  end)

  it("ping", function() one:ask(200, "GET", "/v2/") end)

  it("empty/tag list", function() assert.same({}, one:tags()) end)

  it("empty/referrers", function() assert.same({}, (one:referrers(tool.digest("random")))) end)

  for _, algorithm in ipairs(way.algorithms) do
    local function case(name, f)
      it(("%s blobs/%s"):format(algorithm, name), f)
    end

    -- What follows every push of a blob.
    local function check_and_delete(blob, elsewhere)
      one:head_blob(blob)
      one:get_blob(blob)
      one:delete_blob(blob)
      if elsewhere then two:delete_blob(blob) end
    end

    case("get-missing", function()
      one:ask(404, "GET", one:blob_path(data.blob(algorithm, 512)))
    end)

    for _, push in ipairs {
      { "post only", "post_only" }, { "post+put", "post_put" }, { "stream", "stream" },
    } do
      local name, method = unpack(push)
      case(name, function()
        local blob = data.blob(algorithm, 512)
        one[method](one, blob)
        check_and_delete(blob)
      end)
      case("bad digest " .. name, function()
        local blob = data.blob(algorithm, 3067)
        blob.text = blob.text .. "oh no"
        one[method](one, blob, true)
        one:ask(404, "HEAD", one:blob_path(blob))
      end)
      for _, known in ipairs { { "empty", "" }, { "emptyJSON", "{}" } } do
        case(("%s by %s"):format(known[1], name), function()
          local blob = data.blob(algorithm, known[2])
          one[method](one, blob)
          check_and_delete(blob)
        end)
      end
    end

    for _, o in ipairs {
      { "chunked single", 512 },
      { "chunked multi", 3067 },
      { "chunked multi and put chunk", 3067, put_last = true },
      { "chunked out-of-order", 3067, out_of_order = true },
      { "chunked out-of-order and put chunk", 3067, out_of_order = true, put_last = true },
      { "emptyJSON by chunks", "{}" },
      { "empty by chunks", "" },
    } do
      case(o[1], function()
        local blob = data.blob(algorithm, o[2])
        one:chunked(blob, o)
        check_and_delete(blob)
      end)
    end

    for _, o in ipairs {
      { "bad digest chunked", bad = true },
      { "bad digest chunked and put chunk", bad = true, put_last = true },
    } do
      case(o[1], function()
        local blob = data.blob(algorithm, 3067)
        blob.text = blob.text .. "oh no"
        one:chunked(blob, o)
      end)
    end

    case("mount", function()
      local blob = data.blob(algorithm, 512)
      two:post_put(blob)
      assert.is_true(one:mount(blob, two.repo))
      check_and_delete(blob, true)
    end)

    case("mount anonymous", function()
      local blob = data.blob(algorithm, 512)
      two:post_put(blob)
      assert.is_true(one:mount(blob))
      check_and_delete(blob, true)
    end)

    case("mount missing", function()
      local blob = data.blob(algorithm, 512)
      assert.is_false(one:mount(blob, two.repo))
      check_and_delete(blob)
    end)

    case("post cancel", function() one:cancel() end)

    case("range requests", function()
      local blob = data.blob(algorithm, 2048)
      one:post_put(blob)
      one:range(blob, "500-1499", 500, 1499)
      one:range(blob, "500-", 500, 2047)
      one:range(blob, "-500", 1548, 2047)
      one:range(blob, "2000-5000", 2000, 2047)
      one:range(blob, "500-0")
      one:range(blob, "5000-10000")
      one:delete_blob(blob)
    end)
  end

  -- The ways to push a blob take turns.
  local ways, turn = { "post_put", "post_only", "stream", "chunked" }, 0

  local function push_blob(blob)
    turn = turn % #ways + 1
    one[ways[turn]](one, blob, ways[turn] == "chunked" and {} or nil)
  end

  -- The manifest of a digest.
  local function find(set, digest)
    for _, m in ipairs(set.manifests) do
      if m.digest == digest then return m end
    end
    return nil
  end

  local function push(set)
    for _, blob in ipairs(set.blobs) do push_blob(blob) end
    for _, m in ipairs(set.manifests) do one:put_manifest(m, m.digest) end
    for tag, digest in pairs(set.tags) do
      local m = find(set, digest)
      if not m.tags then one:put_manifest(m, tag) end
    end
  end

  local function check_tags(set)
    local listed = one:tags()
    local sorted = { unpack(listed) }
    table.sort(sorted)
    assert.same(sorted, listed)
    local has = {}
    for _, tag in ipairs(listed) do has[tag] = true end
    for tag in pairs(set.tags) do assert.is_true(has[tag], tag) end
    local middle = math.floor(#listed / 2)
    if middle == 0 then return end
    assert.same({ unpack(listed, middle + 1) }, one:tags("?last=" .. listed[middle]))
  end

  local function check_referrers(set)
    for subject, goals in pairs(set.referrers) do
      local kinds = { [false] = true }
      for _, goal in ipairs(goals) do kinds[goal.artifactType or false] = true end
      for kind in pairs(kinds) do
        local found, filtered = one:referrers(subject, kind or nil)
        assert.equal(kind and "artifactType" or nil, filtered)
        local by_digest, n = {}, 0
        for _, d in ipairs(found) do by_digest[d.digest] = d end
        for _, goal in ipairs(goals) do
          if not kind or goal.artifactType == kind then
            assert.same(goal, by_digest[goal.digest])
            n = n + 1
          end
        end
        assert.equal(n, #found)
      end
    end
  end

  local function delete(set)
    for tag in pairs(set.tags) do one:delete_manifest(tag) end
    for i = #set.manifests, 1, -1 do one:delete_manifest(set.manifests[i].digest) end
    for _, blob in ipairs(set.blobs) do one:delete_blob(blob) end
    for subject in pairs(set.referrers) do assert.same({}, (one:referrers(subject))) end
  end

  for _, entry in ipairs(data.select(way.sets)) do
    local name, build = unpack(entry)
    it(name, function()
      local set = data.make(build)
      push(set)
      check_tags(set)
      for _, how in ipairs { "head", "get" } do
        local manifest, blob = one[how .. "_manifest"], one[how .. "_blob"]
        for tag, digest in pairs(set.tags) do manifest(one, find(set, digest), tag) end
        for _, m in ipairs(set.manifests) do manifest(one, m, m.digest) end
        for _, b in ipairs(set.blobs) do blob(one, b) end
      end
      check_referrers(set)
      delete(set)
    end)
  end

  it("bad-digest-image", function()
    local set = data.image()
    for _, blob in ipairs(set.blobs) do push_blob(blob) end
    local m = set.manifests[1]
    m.text = m.text .. "  "
    one:put_manifest(m, m.digest, true)
    for _, blob in ipairs(set.blobs) do
      one:head_blob(blob)
      one:get_blob(blob)
    end
    delete(set)
  end)

  it("missing-manifest", function()
    one:ask(404, "GET", one:manifest_path(tool.digest("random")))
    one:ask(404, "GET", one:manifest_path("missing-tag"))
  end)

  it("invalid-digest-format", function()
    local set = data.image()
    for _, blob in ipairs(set.blobs) do push_blob(blob) end
    one:put_manifest(set.manifests[1], "sha256:baddigeststring", true)
    one:ask(400, "GET", one:manifest_path("sha256:baddigeststring"))
    delete(set)
  end)

  it("everything went over one connection, and who sent it was asked for each kind", function()
    local shown, goal = {}, {}
    for _, text in pairs(agent.shown) do shown[#shown + 1] = text:match "^%a+" end
    -- GET /v2/, and pulls, pushes and deletes of either repository
    for i = 1, way.shows and 7 or 0 do goal[i] = way.shows end
    assert.same(goal, shown)
    assert.equal(1, agent.opened)
  end)

  it("nothing is left but blobs that nobody owns", function()
    for _, path in ipairs(g:files("docker/registry/v2/repositories")) do
      assert.is_falsy(path:find("/_layers/sha256", 1, true), path)
      assert.is_falsy(path:find("/_uploads/", 1, true), path)
      assert.is_falsy(path:find("/_manifests/revisions/sha256", 1, true), path)
      assert.is_falsy(path:find("/_manifests/tags/", 1, true), path)
      assert.is_falsy(path:find("/of/", 1, true), path)
    end
  end)
end

describe("conformance:", function()
  cases { serves = "registry { store = disk, sparse = true }", space = "",
    algorithms = { "sha256", "sha512" } }
end)

local SOME = { "image", "artifacts-with-subject", "tag-param-sha256" }

describe("conformance of a namespace, with tokens:", function()
  cases {
    serves = [[
      registry { store = disk:at "rest", auth = known_or_nobody, allow = known },
      registry { store = disk, prefix = "/v2/team", auth = known_or_nobody, allow = known }]],
    space = "team/", user = "ann", password = ANN, shows = "Bearer",
    algorithms = { "sha256" }, sets = SOME,
  }
end)

describe("conformance of a host, with passwords and signed sessions:", function()
  cases {
    serves = [[registry { store = disk, host = "images.example.org", http_secret = "hush",
      auth = auth.htpasswd "users", allow = known }]],
    host = "images.example.org:5000", space = "", user = "ann", password = ANN, shows = "Basic",
    algorithms = { "sha256" }, sets = SOME,
  }
end)
