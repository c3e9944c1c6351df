-- SPDX-License-Identifier: Apache-2.0
--
-- A rolling upgrade: two versions of the program on one store at the same time, behind a load
-- balancer that knows nothing of either. The earlier one is drained while clients push, and at the
-- end it takes over again, for there has to be a way back. `make upgrade` builds the earlier one,
-- which spec/upgrade/base names, and runs this.
local gateway = require "spec.gateway"
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"
local wire = require "spec.wire"

local EARLIER = os.getenv "TIDEGATE_EARLIER" or ""
local STEP = 40000
local TEXT = tool.bytes(6 * STEP, 91)
local DIGEST = tool.digest(TEXT)

-- What both understand. The job must never run twice at once: it holds a file meanwhile, which only
-- the end of its gateway leaves behind.
local SCRIPT = [[
local gate = require "tidegate"
local registry = require "apps.registry"
gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 2 }
local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA" }
local jobs = disk:at "jobs"
gate.every("20ms", "shared", { on = "gateway", store = jobs }, function()
  if not gate.try(jobs.put, jobs, "runs/now", "", { if_absent = true }) then
    gate.log.error "the job runs twice"
  end
  gate.sleep "5ms"
  jobs:remove "runs/now"
  jobs:put("runs/by-" .. gate.env "VERSION", "")
end)
gate.serve { registry { store = disk:at "images", immutable = { "rel-*" }, audit = "audit.jsonl" } }
]]

describe("a rolling upgrade", function()
  local folder, earlier, later

  local function start(program, version)
    return gateway.start { script = SCRIPT, data = folder, program = program,
      env = { VERSION = version, TIDEGATE_CONTROL = folder .. "/" .. version .. ".sock" } }
  end

  local function start_earlier() earlier = start(EARLIER, "earlier") end
  local function start_later() later = start(nil, "later") end

  if EARLIER == "" then
    it("is tried beside an earlier version", function()
      pending "make upgrade does it, where git has the earlier version"
    end)
    return
  end

  before_each(function()
    folder = tool.tmpdir()
    start_earlier()
    start_later()
  end)

  after_each(function()
    for _, g in pairs { earlier = earlier, later = later } do g:stop() end
    tool.remove(folder)
    earlier, later = nil, nil
  end)

  -- What is there of a repository, as one of them tells it.
  local function told(g, repo, refs)
    local seen = { tags = pusher.decode(g:request("GET", ("/v2/%s/tags/list"):format(repo)).body) }
    for _, ref in ipairs(refs) do
      local reply = g:request("GET", ("/v2/%s/manifests/%s"):format(repo, ref))
      seen[ref] = { reply.status, reply.header("docker-content-digest"), tool.sha256(reply.body) }
    end
    return seen
  end

  it("shows in each what was pushed to the other", function()
    local digests = {
      pusher.image(earlier, "up/images", "one", 1), pusher.image(later, "up/images", "two", 2),
    }
    local refs = { "one", "two", digests[1], digests[2] }
    local seen = told(later, "up/images", refs)
    assert.same({ 200, digests[1], digests[1]:sub(8) }, seen.one)
    assert.same(seen, told(earlier, "up/images", refs))
    pusher.image(later, "up/images", "one", 3)
    local reply = earlier:request("DELETE", "/v2/up/images/manifests/" .. digests[2])
    assert.equal(202, reply.status)
    seen = told(later, "up/images", refs)
    assert.equal(404, seen.two[1])
    assert.not_equal(digests[1], seen.one[2])
    assert.same(seen, told(earlier, "up/images", refs))
  end)

  for _, query in ipairs { "", "?digest-algorithm=sha512" } do
    it("hands uploads over, both ways" .. query, function()
      local digest = query == "" and DIGEST or "sha512:" .. tool.sha512(TEXT)
      for first, turns in ipairs { { earlier, later }, { later, earlier } } do
        local repo = "up/turns" .. first
        local place = pusher.place(turns[1]:request("POST",
          ("/v2/%s/blobs/uploads/%s"):format(repo, query)))
        for i = 1, 6 do
          local g = turns[i % 2 + 1]
          local reply = g:request("PATCH", place, {
            body = TEXT:sub((i - 1) * STEP + 1, i * STEP),
            headers = { ["Content-Range"] = ("%d-%d"):format((i - 1) * STEP, i * STEP - 1) },
          })
          assert.equal(202, reply.status, reply.body)
          place = pusher.place(reply)
        end
        local reply = turns[first]:request("PUT", pusher.closing(place, digest))
        assert.equal(201, reply.status, reply.body)
        for _, g in ipairs(turns) do
          local blob = g:request("GET", ("/v2/%s/blobs/%s"):format(repo, digest))
          assert.is_true(blob.body == TEXT)
        end
      end
    end)
  end

  it("keeps what one alone promises: tags that are set once, referrers, jobs, the audit log",
    function()
      local one = pusher.image_text(earlier, "up/rules", 1)
      local two = pusher.image_text(later, "up/rules", 2)
      for i = 1, 20 do
        local connections = { earlier:raw(), later:raw() }
        for k, text in ipairs { one, two } do
          connections[k]:send(wire.head("PUT", "/v2/up/rules/manifests/rel-" .. i, {
            body = text, headers = { ["Content-Type"] = pusher.IMAGE } }) .. text)
        end
        local statuses = {}
        for k, c in ipairs(connections) do
          statuses[k] = c:read_reply("PUT").status
          c:close()
        end
        table.sort(statuses)
        assert.same({ 201, 403 }, statuses)
      end

      local digests = {}
      for i = 1, 6 do
        local text = json.encode { schemaVersion = 2, mediaType = pusher.IMAGE,
          artifactType = "a/" .. i, config = json.decode(one).config, layers = {},
          subject = { mediaType = pusher.IMAGE, digest = tool.digest(one), size = #one } }
        local g = i % 2 == 0 and earlier or later
        assert.equal(201, pusher.put_manifest(g, "up/rules", tool.digest(text), text).status)
        digests[i] = tool.digest(text)
      end
      table.sort(digests)
      for _, g in ipairs { earlier, later } do
        local listed = {}
        local reply = g:request("GET", "/v2/up/rules/referrers/" .. tool.digest(one))
        for i, d in ipairs(pusher.decode(reply.body).manifests) do listed[i] = d.digest end
        table.sort(listed)
        assert.same(digests, listed)
        local ok, out = g:command("history " .. g.path .. " up/rules:rel-1")
        assert.is_true(ok, out)
        assert.truthy(out:find("nothing -> sha256:", 1, true), out)
        assert.is_nil(out:find("damaged", 1, true), out)
      end
      for _, version in ipairs { "earlier", "later" } do
        assert.is_true(later:settles(function(files)
          for _, name in ipairs(files) do
            if name == "jobs/runs/by-" .. version then return true end
          end
          return false
        end))
      end
      for _, g in ipairs { earlier, later } do
        assert.is_nil(g:log():find("runs twice", 1, true))
      end
    end)

  -- Pushes images to whichever of them, as a load balancer would; notes what was acknowledged.
  local function push_on(balance, known, count)
    for _ = 1, count do
      local i = #known + 1
      local ref = "v" .. i
      local text = json.encode { schemaVersion = 2, mediaType = pusher.IMAGE,
        config = pusher.blob(balance(), "up/on", '{"seed":' .. i .. "}", pusher.CONFIG),
        layers = { pusher.blob(balance(), "up/on", tool.bytes(3000, i)) } }
      local reply = pusher.put_manifest(balance(), "up/on", ref, text)
      assert.equal(201, reply.status, reply.body)
      known[i] = { ref = ref, text = text }
    end
  end

  local function check_known(g, known)
    for _, image in ipairs(known) do
      local reply = g:request("GET", "/v2/up/on/manifests/" .. image.ref)
      assert.is_true(reply.body == image.text, image.ref)
      local doc = json.decode(image.text)
      for _, d in ipairs { doc.config, unpack(doc.layers) } do
        local blob = g:request("GET", "/v2/up/on/blobs/" .. d.digest)
        assert.equal(d.digest, tool.digest(blob.body))
      end
    end
  end

  it("drains the earlier one under load, and finds a way back", function()
    math.randomseed(7)
    local known = {}
    local function both() return math.random(2) == 1 and earlier or later end
    local function new() return later end
    push_on(function() return earlier end, known, 5)
    push_on(both, known, 15)

    -- an upload that rests, and one that is in the middle of a body when the drain begins
    local resting = pusher.place(earlier:request("PATCH", pusher.session(earlier, "up/on"),
      { body = TEXT:sub(1, STEP) }))
    local c = earlier:raw()
    local closing = pusher.closing(pusher.session(later, "up/on"), DIGEST)
    c:send(wire.head("PUT", closing, { body = TEXT }) .. TEXT:sub(1, STEP))
    assert.is_true((earlier:command("drain --delay 0")))
    push_on(new, known, 5)
    c:send(TEXT:sub(STEP + 1))
    local reply = c:read_reply("PUT")
    assert.equal(201, reply.status, reply.body)
    c:close()
    assert.truthy(earlier:wait())
    earlier:stop()
    earlier = nil

    reply = later:request("PATCH", resting, { body = TEXT:sub(STEP + 1, 2 * STEP) })
    assert.equal("0-" .. 2 * STEP - 1, reply.header("range"), reply.body)
    push_on(new, known, 5)
    check_known(later, known)
    local ok, out = later:command("verify " .. later.path)
    assert.is_true(ok, out)

    start_earlier()
    push_on(both, known, 5)
    reply = earlier:request("PUT", pusher.closing(pusher.place(reply), DIGEST),
      { body = TEXT:sub(2 * STEP + 1) })
    assert.equal(201, reply.status, reply.body)
    later:stop()
    start_later()
    check_known(earlier, known)
    assert.same({}, later:files ".tidegate/aside")
    assert.same({}, later:files "images/docker/registry/v2/repositories/up/on/_uploads")
  end)
end)
