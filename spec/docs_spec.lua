-- SPDX-License-Identifier: Apache-2.0
-- The documents and the program say the same: whole gateways in the documents load, and docs/lua.md
-- has a heading for every function that a script can call, and for no other; each is called in
-- some spec.
local certs = require "spec.certs"
local gateway = require "spec.gateway"
local lfs = require "lfs"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"

local function list(command)
  local names = {}
  for name in tool.must(command):gmatch "[^\n]+" do names[#names + 1] = name end
  return names
end

describe("an example", function()
  local folder
  setup(function()
    folder = tool.tmpdir()
    certs.authority(folder, "ca"):sign("server", "DNS:registry.example")
  end)
  teardown(function() tool.remove(folder) end)

  local function loads(path)
    local ok, out = tool.run(("TIDEGATE_DATA=%s TIDEGATE_TLS=%s %s check %s"):format(folder, folder,
      PROGRAM, path))
    assert(ok, out)
  end

  for _, path in ipairs(list "find examples -name '*.lua' ! -name '*_spec.lua' | sort") do
    it("loads: " .. path, function() loads(path) end)
  end

  for _, path in ipairs(list "ls README.md docs/*.md examples/policies/README.md") do
    local n = 0
    for code in tool.read(path):gmatch "```lua\n(.-)```" do
      n = n + 1
      if code:find('require "tidegate"', 1, true) then
        it(("loads: the Lua block %d of %s"):format(n, path), function()
          tool.write(folder .. "/block.lua", code)
          loads(folder .. "/block.lua")
        end)
      end
    end
  end
end)

describe("a document", function()
  for _, path in ipairs(list "ls README.md docs/*.md examples/policies/README.md") do
    it("has no dead link: " .. path, function()
      local folder = path:match "^(.*/)" or ""
      for target in tool.read(path):gmatch "%]%(([^)#:]+)[)#]" do
        assert(lfs.attributes(folder .. target), "no such file: " .. target)
      end
    end)
  end
end)

-- is sent names, a line each; answers with every function that its objects offer, and with those of
-- the names that are functions too: an object may make them when it is asked
local COLLECTOR = [[
local gate = require "tidegate"
gate.config { listen = gate.env "TIDEGATE_LISTEN" }
local mem = gate.store.mem { name = "docs" }
local app = gate.app { prefix = "/all" }
local shared = gate.shared "docs"
local counter, gauge = gate.counter "docs_total", gate.gauge "docs"
local histogram = gate.histogram "docs_seconds"
local audit = gate.audit "docs.jsonl"
local limit = gate.limit("docs", {})
local found = {}
local auth = require "auth"
local job
gate.every("10ms", "docs", { on = "worker" }, function(j) job = j end)

local function collect(prefix, object, deep)
  local meta = getmetatable(object)
  for _, t in ipairs { object, meta and type(meta.__index) == "table" and meta.__index or nil } do
    for name, value in pairs(t) do
      if type(name) == "string" and name:sub(1, 1) ~= "_" then
        if type(value) == "function" then found[prefix .. name] = true end
        if deep and type(value) == "table" then collect(prefix .. name .. ".", value, true) end
      end
    end
  end
end

local function is_function(objects, name)
  local value = objects
  for word in name:gmatch "[^.:]+" do
    value = value and value[word]
  end
  return type(value) == "function"
end

app:put("/{x}", function(q)
  local objects = {
    app = app,
    q = q,
    stream = q.body,
    store = mem,
    sink = mem:create("sink"),
    space = gate.space { store = mem, key = function(p) return p.name end },
    shared = shared,
    limit = limit,
    task = gate.spawn(gate.now),
    counter = counter,
    gauge = gauge,
    histogram = histogram,
    audit = audit,
  }
  while not job do gate.sleep "1ms" end
  objects.job = job
  for name, object in pairs(objects) do collect(name .. ":", object) end
  collect("gate.", gate, true)
  collect("auth.", auth)
  objects.gate, objects.auth = gate, auth
  found["space:key"] = nil -- the script's own
  for name in q.body:text("64k"):gmatch "[^\n]+" do
    if is_function(objects, name) then found[name] = true end
  end
  local lines = {}
  for name in pairs(found) do lines[#lines + 1] = name end
  table.sort(lines)
  return gate.reply(200, table.concat(lines, "\n"))
end)
gate.serve { app }
]]

-- the names in the headings of docs/lua.md, sorted
local function documented()
  local names = {}
  for heading in tool.read("docs/lua.md"):gmatch "\n### ([^\n]+)" do
    for name in heading:gmatch "%a+[.:][%w_.]+" do names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function offered()
  local g = gateway.start { script = COLLECTOR }
  local reply = g:request("PUT", "/all/x", { body = table.concat(documented(), "\n") })
  g:stop()
  assert(reply.status == 200, reply.body)
  local names = {}
  for name in reply.body:gmatch "[^\n]+" do names[#names + 1] = name end
  return names
end

-- those of `names` that `others` lacks
local function lacking(names, others)
  local there, rest = {}, {}
  for _, name in ipairs(others) do there[name] = true end
  for _, name in ipairs(names) do
    if not there[name] then rest[#rest + 1] = name end
  end
  return rest
end

describe("docs/lua.md", function()
  local names
  setup(function() names = offered() end)

  it("has a heading for every function", function()
    local missing = {}
    for _, name in ipairs(lacking(names, documented())) do
      -- the methods of a space are a store's
      if not name:match "^space:" then missing[#missing + 1] = name end
    end
    assert.are.same({}, missing)
  end)

  it("has no heading for what is not there", function()
    assert.are.same({}, lacking(documented(), names))
  end)

  it("describes nothing that no spec calls", function()
    local texts, unused = {}, {}
    for _, path in ipairs(list "find spec examples -name '*.lua' ! -name docs_spec.lua") do
      texts[#texts + 1] = tool.read(path)
    end
    local text = table.concat(texts, "\n")
    for _, name in ipairs(names) do
      local call = name:match ":.*" or name
      if not text:find((call:gsub("%p", "%%%0")) .. "%f[^%w_]") then unused[#unused + 1] = name end
    end
    assert.are.same({}, unused)
  end)
end)
