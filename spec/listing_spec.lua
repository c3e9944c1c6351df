-- SPDX-License-Identifier: Apache-2.0
--
-- Lists of what there is much of: repositories, tags, referrers. Every page costs what it holds.
local gateway = require "spec.gateway"
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"
local tree = require "spec.tree"

local DIGEST = tool.digest "x"
local REFERRERS = 2500

-- Names made of few letters, so that many begin with others. Repeatable.
local function random_names(n, component, seed)
  local state, seen, list = seed, {}, {}
  local function random(most)
    state = state * 16807 % 2147483647
    return math.floor(state / 65536) % most + 1
  end
  while #list < n do
    local name = component(random)
    if not seen[name] then list[#list + 1] = name end
    seen[name] = true
  end
  return list
end

local JOINTS = { "", "", "-", ".", "_", "--" }

local function component(random)
  local text = ("a0b"):sub(random(3)):sub(1, 1)
  for _ = 1, random(4) - 1 do
    local at = random(3)
    text = text .. JOINTS[random(#JOINTS)] .. ("a0b"):sub(at, at)
  end
  return text
end

local function repository(random)
  local parts = {}
  for i = 1, random(3) do parts[i] = component(random) end
  return table.concat(parts, "/")
end

local function tag(random)
  local text = component(random)
  for _ = 1, random(2) - 1 do text = text .. ("-."):sub(random(2)):sub(1, 1) end
  return text
end

local function by_components(a, b)
  return (a:gsub("/", "\0")) < (b:gsub("/", "\0"))
end

-- The names that come behind `last`, n of them at most.
local function behind(names, last, is_before, n)
  local list = {}
  for _, name in ipairs(names) do
    if #list < n and is_before(last, name) then list[#list + 1] = name end
  end
  return list
end

describe("listing", function()
  local folder, g

  before_each(function() folder = tree.folder() end)

  after_each(function()
    if g then g:stop() end
    g = nil
    tool.remove(folder)
  end)

  local function get(path)
    local reply = g:request("GET", path)
    assert.equal(200, reply.status, reply.body)
    local doc = pusher.decode(reply.body)
    local link = reply.header "link"
    return doc.repositories or doc.tags or doc, link and link:match '^<(.-)>; rel="next"$', doc
  end

  -- All pages from there on, one after the other; how many there were.
  local function walk(path, most)
    local seen, pages = {}, 0
    while path do
      local page, link = get(path)
      assert.is_true(#page <= (most or 1000))
      for _, name in ipairs(page) do seen[#seen + 1] = name end
      path, pages = link, pages + 1
    end
    return seen, pages
  end

  local function operations()
    local n = 0
    local text = g:request("GET", "/metrics").body
    for count in text:gmatch "\ntidegate_store_operations_total{[^}]*} (%d+)" do
      n = n + tonumber(count)
    end
    return n
  end

  local function start(options, config)
    g = gateway.start {
      data = folder,
      script = ([[
        local gate = require "tidegate"
        local registry = require "apps.registry"
        gate.config { listen = gate.env("TIDEGATE_LISTEN"), workers = 1, %s }
        gate.serve { registry { store = gate.store.fs { root = gate.env "TIDEGATE_DATA" }, %s },
          gate.metrics "/metrics" }
      ]]):format(config or "", options or ""),
    }
  end

  it("keeps the order of repositories, from any name on, in pages of any size", function()
    local names = random_names(60, repository, 7)
    tree.new(folder):repositories(names, DIGEST)
    table.sort(names, by_components)
    start()
    for _, n in ipairs { 1, 7, 59, 60 } do
      assert.same(names, (walk("/v2/_catalog?n=" .. n, n)), "n=" .. n)
    end
    local from = random_names(25, repository, 8)
    for i = 1, #names, 8 do from[#from + 1] = names[i] end
    for _, last in ipairs { "", "/", "a/", "a//b", "a/-", "z", "_", "a/_manifests" } do
      from[#from + 1] = last
    end
    for _, last in ipairs(from) do
      assert.same(behind(names, last, by_components, 5),
        (get("/v2/_catalog?n=5&last=" .. last)), last)
    end
  end)

  it("keeps the order of tags, from any name on, in pages of any size", function()
    local names = random_names(120, tag, 9)
    local t = tree.new(folder)
    t:repositories({ "t" }, DIGEST)
    t:tags("t", names, DIGEST)
    table.sort(names)
    start()
    for _, n in ipairs { 1, 7, 119, 120 } do
      assert.same(names, (walk("/v2/t/tags/list?n=" .. n, n)), "n=" .. n)
    end
    local from = random_names(25, tag, 10)
    for i = 1, #names, 8 do from[#from + 1] = names[i] end
    for _, last in ipairs(from) do
      assert.same(behind(names, last, function(a, b) return a < b end, 5),
        (get("/v2/t/tags/list?n=5&last=" .. last)), last)
    end
  end)

  it("asks the store for what a page shows, whatever there is", function()
    local t, nested = tree.new(folder), {}
    for i = 1, 40 do
      for j = 1, 50 do nested[#nested + 1] = ("n/g%02d/p%02d"):format(i, j) end
    end
    t:repositories(tree.names("f/r%04d", 3000), DIGEST)
    t:repositories(nested, DIGEST)
    t:tags("f/r0001", tree.names("v%04d", 3000), DIGEST)
    start()
    for _, path in ipairs {
      "_catalog?n=10", "_catalog?n=10&last=f/r2000", "_catalog?n=10&last=n/g20/p45",
      "f/r0001/tags/list?n=10", "f/r0001/tags/list?n=10&last=v2000",
    } do
      local before = operations()
      assert.equal(10, #get("/v2/" .. path))
      local took = operations() - before
      assert.is_true(took <= 24, ("%s took %d operations"):format(path, took))
    end
  end)

  it("ends a page after a bounded number of names that are hidden, folders among them", function()
    local t = tree.new(folder)
    t:repositories(tree.names("r%04d", 2100), DIGEST)
    t:repositories({ "zz/last" }, DIGEST)
    for i = 1, 200 do t:folder(t:repository(("u%04d/_uploads/1"):format(i))) end
    for i = 1, 200 do t:file(t:repository(("u%04d/_uploads/1/data"):format(i)), "x") end
    start [[ allow = function(q)
      return q.action == "catalog" or q.repo == "r1500" or q.repo == "zz/last"
    end ]]
    local before = operations()
    local page, link = get "/v2/_catalog?n=5"
    assert.same({ "r1500" }, page)
    assert.is_nil(link:find("r2", 1, true))
    assert.is_true(operations() - before < 2050)
    assert.same({ "zz/last" }, (walk(link)))
    local foreign = "&at=" .. ("0"):rep(36)
    assert.same({ "zz/last" }, (walk("/v2/_catalog?n=5&last=r1900" .. foreign)))
  end)

  it("gives referrers in pages, each a whole index", function()
    local expected, wanted = {}, {}
    local function referrer(i)
      local digest = tool.digest("referrer " .. i)
      local kind = i % 100 == 0 and "a/rare" or "a/usual"
      expected[#expected + 1] = digest
      if i % 100 == 0 then wanted[#wanted + 1] = digest end
      return digest, json.encode { mediaType = pusher.IMAGE, digest = digest, size = 7,
        artifactType = kind }
    end
    tree.new(folder):referrers("refs", DIGEST, REFERRERS, referrer)
    table.sort(expected)
    table.sort(wanted)
    start()
    local function all(query, most)
      local seen, path, pages = {}, "/v2/refs/referrers/" .. DIGEST .. query, 0
      while path do
        local doc, link = get(path)
        assert.equal(2, doc.schemaVersion)
        assert.equal(pusher.INDEX, doc.mediaType)
        assert.is_true(#doc.manifests <= most)
        for _, d in ipairs(doc.manifests) do seen[#seen + 1] = d.digest end
        path, pages = link, pages + 1
      end
      return seen, pages
    end
    local seen, pages = all("", 1000)
    assert.same(expected, seen)
    assert.equal(3, pages)
    seen = all("?n=7&artifactType=a/rare", 7)
    assert.same(wanted, seen)
    seen, pages = all("?artifactType=a/none", 0)
    assert.same({}, seen)
    assert.is_true(pages <= 4)
    local before = operations()
    assert.equal(10, #get("/v2/refs/referrers/" .. DIGEST .. "?n=10").manifests)
    assert.is_true(operations() - before <= 24)
  end)

  -- Of 20 000 names of 200 bytes a VM of 6 MiB cannot hold half.
  it("needs the memory of a page", function()
    local long = ("r"):rep(195)
    tree.new(folder):repositories(tree.names(long .. "%05d", 20000), DIGEST)
    start("", "limits = { script = '6m' }")
    for _, last in ipairs { "", long .. "10000", long .. "19900" } do
      assert.equal(100, #get("/v2/_catalog?n=100&last=" .. last))
    end
  end)
end)
