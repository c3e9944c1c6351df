-- SPDX-License-Identifier: Apache-2.0
-- gate.metrics and what scripts count: the text is what Prometheus reads, the numbers are true, and
-- docs/operate.md names every metric that is served and no other.
local gateway = require "spec.gateway"
local prometheus = require "spec.prometheus"
local tool = require "spec.tool"
local socket = require "socket"

local g, data
local function start(script)
  data = data or tool.tmpdir()
  g = gateway.start { script = script, data = data }
end
after_each(function()
  if g then g:stop() end
  if data then tool.remove(data) end
  g, data = nil, nil
end)

local SCRIPT = [[
local gate = require "tidegate"
local registry = require "apps.registry"
gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 2, log = { access = false },
  limits = { slice = "50ms" } }
local sold = gate.counter("shop_sold_total", { help = 'a "b" \\ c\nd', most = 5,
  labels = { "what", "to" } })
local level = gate.gauge("shop_level")
local took = gate.histogram("shop_took_seconds", { labels = { "at" }, buckets = { 0.5, 2 } })
local app = gate.app { prefix = "/shop" }
app:post("/sell/{what}", function(q)
  sold:add(q.query.n and tonumber(q.query.n), { what = q.params.what, to = "x" })
  return gate.reply(204)
end)
app:post("/level/{n}", function(q)
  level:set(tonumber(q.params.n))
  level:add(1)
  return gate.reply(204)
end)
app:post("/took/{n}", function(q)
  took:observe(tonumber(q.params.n), { at = 1 })
  return gate.reply(204)
end)
app:get("/spin", function() while true do end end)
app:get("/wrong/{n}", function(q)
  local all = {
    function() sold:add(-1, { what = "a", to = "b" }) end,
    function() sold:add(1, { what = "a" }) end,
    function() sold:add(1, { what = "a", to = "b", of = "c" }) end,
    function() level:set() end,
    function() gate.counter "late_total" end,
    function() took:observe("x", { at = "b" }) end,
  }
  local ok, why = pcall(all[tonumber(q.params.n)])
  return gate.reply(200, tostring(why))
end)
local disk = gate.store.fs { root = gate.env "TIDEGATE_DATA" }
gate.serve { app, registry { store = disk }, gate.metrics "/metrics" }
]]

local function metrics()
  local reply = g:request("GET", "/metrics")
  assert.equal(200, reply.status)
  assert.equal("text/plain; version=0.0.4; charset=utf-8", reply.header "Content-Type")
  return prometheus.parse(reply.body), reply.body
end

-- The value of one sample; absent ones count as 0.
local function value(families, sample)
  local name = sample:match "^[%w_:]+"
  local f = families[name] or families[name:match "^(.*)_%l+$"]
  return f and f.samples[sample] or 0 -- what has not happened yet is not there
end

describe("metrics", function()
  it("are text that Prometheus reads, whatever labels hold", function()
    start(SCRIPT)
    g:request("POST", "/shop/sell/a%22b%5C%0A%FF%C3%A9?n=2.5")
    local _, text = metrics()
    local sample = 'shop_sold_total{what="a\\"b\\\\??\xc3\xa9",to="x"} 2.5'
    assert.truthy(text:find(sample, 1, true), text)
    assert.truthy(text:find('# HELP shop_sold_total a "b" \\\\ c\\nd\n', 1, true))
    assert.equal(405, g:request("POST", "/metrics").status)
    assert.equal(200, g:request("HEAD", "/metrics").status)
    if tool.run "command -v promtool" then
      tool.write(data .. "/m", text)
      local ok, out = tool.run("promtool check metrics <" .. data .. "/m")
      assert(ok or not out:find "error", out)
    end
  end)

  it("count what happened", function()
    start(SCRIPT)
    local before = metrics()
    local c = g:raw()
    for _ = 1, 20 do c:request("GET", "/v2/a/b/tags/list") end
    c:close()
    local id = g:request("POST", "/v2/a/b/blobs/uploads/").header "Docker-Upload-UUID"
    local path = "/v2/a/b/blobs/uploads/" .. id .. "?digest=" .. tool.digest "12345"
    g:request("PUT", path, { body = "12345" })
    g:request("GET", "/v2/a/b/blobs/" .. tool.digest "12345")
    if tool.watchdog_works then g:request("GET", "/shop/spin") end
    g:rewrite("?")
    g:command "reload"
    g:rewrite(SCRIPT)
    assert(g:command "reload")
    g:request("ODD", "/v2/")
    local after, deadline = nil, socket.gettime() + 20
    local function grew(sample)
      return value(after, sample) - value(before, sample)
    end
    repeat -- requests are counted when they are over, a moment after their replies
      after = metrics()
    until grew 'tidegate_request_seconds_count{app="/v2"}' >= 24 or socket.gettime() > deadline
    assert.equal(20, grew 'tidegate_requests_total{app="/v2",action="pull",status="4xx"}')
    assert.equal(2, grew 'tidegate_requests_total{app="/v2",action="push",status="2xx"}')
    assert.equal(1, grew 'tidegate_requests_total{app="/v2",action="pull",status="2xx"}')
    local stopped = tool.watchdog_works and 1 or 0
    assert.equal(stopped, grew 'tidegate_requests_total{app="/shop",action="get",status="5xx"}'
      + grew 'tidegate_requests_total{app="none",action="none",status="5xx"}')
    assert.equal(5, grew "tidegate_received_bytes_total")
    assert.equal(stopped, grew "tidegate_watchdog_stops_total")
    assert.equal(1, grew "tidegate_reloads_total")
    assert.equal(1, grew "tidegate_reloads_refused_total")
    assert.equal(1, grew 'registry_uploads_total{result="begun"}')
    assert.equal(1, grew 'registry_uploads_total{result="finished"}')
    assert.truthy(grew "tidegate_sent_bytes_total" > 5)
    local puts = 'tidegate_store_operations_total{kind="fs",operation="put",result="ok"}'
    assert.truthy(grew(puts) >= 1)
    assert.truthy(grew "tidegate_connections_total" >= 5)
    assert.equal(1, value(after, "tidegate_requests_open"))
    assert.equal(0, value(after, "tidegate_bodies_open"))
    assert.equal(0, value(after, "tidegate_pipes_open"))
    assert.truthy(value(after, "tidegate_generations") >= 1)
    assert.truthy(value(after, "tidegate_script_memory_bytes") > 100000)
    assert.truthy(value(after, "process_resident_memory_bytes") > 1e6)
    assert.truthy(value(after, "process_open_fds") > 5)
    assert.truthy(math.abs(value(after, "process_start_time_seconds") - os.time()) < 600)
  end)

  it("of scripts are summed over workers, bounded, and outlive a reload", function()
    start(SCRIPT)
    for i = 1, 30 do assert.equal(204, g:request("POST", "/shop/sell/w" .. i).status) end
    for _, n in ipairs { 0.5, 1, 7 } do g:request("POST", "/shop/took/" .. n) end
    g:request("POST", "/shop/level/6")
    assert(g:command "reload")
    g:request("POST", "/shop/sell/w1")
    local m, text = metrics()
    assert.equal(2, value(m, 'shop_sold_total{what="w1",to="x"}'))
    assert.equal(25, value(m, 'shop_sold_total{what="other",to="other"}'))
    assert.equal(7, value(m, "shop_level"))
    assert.equal(1, value(m, 'shop_took_seconds_bucket{at="1",le="0.5"}'))
    assert.equal(3, value(m, 'shop_took_seconds_bucket{at="1",le="+Inf"}'))
    assert.equal(8.5, value(m, 'shop_took_seconds_sum{at="1"}'), text)
    assert(g:logged "a metric has too many values.-metric=shop_sold_total")
    local _, n = g:log():gsub("a metric has too many values", "")
    assert.equal(1, n)
  end)

  it("say what is wrong", function()
    start(SCRIPT)
    for i, message in ipairs { "never goes back", "the label 'to' is missing",
      "there is no label 'of'", "a number is expected", "while the script loads",
      "a number is expected" } do
      local body = g:request("GET", "/shop/wrong/" .. i).body
      assert.truthy(body:find(message, 1, true), body)
    end
    for line, message in pairs {
      ['gate.counter "tidegate_x"'] = "does not begin with tidegate_",
      ['gate.counter "a-b"'] = "not what Prometheus allows",
      ['gate.counter("a", { labels = { "le" } })'] = "not what Prometheus allows",
      ['gate.counter("a", { label = { "le" } })'] = "did you mean 'labels'",
      ['gate.histogram("a", { buckets = { 2, 1 } })'] = "not what Prometheus allows",
      ['gate.gauge "shop_took_seconds_sum"'] = "another metric has this name",
      ['gate.counter("shop_sold_total", { labels = { "x" } })'] = "another metric has this name",
    } do
      g:rewrite('local gate = require "tidegate"\n' .. line .. "\n")
      local ok, out = g:command "reload"
      assert.falsy(ok)
      assert.truthy(out:find(message, 1, true), out)
    end
  end)

  it("are those that docs/operate.md lists", function()
    start(SCRIPT)
    g:request("GET", "/v2/")
    g:request("POST", "/v2/a/b/blobs/uploads/")
    local served = metrics()
    local documented, missing, unknown = {}, {}, {}
    local section = tool.read("docs/operate.md"):match "## Metrics\n(.-)\n## "
    for name in section:gmatch "\n| `([%w_]+)" do documented[name] = true end
    for name in pairs(served) do
      if not name:find "^shop_" and not documented[name] then missing[#missing + 1] = name end
    end
    for name in pairs(documented) do
      if not served[name] then unknown[#unknown + 1] = name end
    end
    assert.same({}, missing)
    assert.same({}, unknown)
  end)
end)
