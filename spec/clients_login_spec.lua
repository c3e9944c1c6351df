-- SPDX-License-Identifier: Apache-2.0
--
-- Real clients and a registry with users. In examples/private.lua, each pulls without a password,
-- hears why it may not push, logs in, and pushes and pulls what is private. Where nobody gets in
-- without one, each hears why a user may not push. `make clients` tries all of
-- them, as spec/clients/init.lua says.
local clients = require "spec.clients"
local gateway = require "spec.gateway"
local tool = require "spec.tool"
local users = require "spec.users"

local SECRET, WRONG = "tr0ub4dor", "gu3ssed"
local WHY = "only the builder may push here"
local ONLY_USERS = ([[
  local gate = require "tidegate"
  local auth = require "auth"
  local registry = require "apps.registry"
  gate.config { listen = gate.env "TIDEGATE_LISTEN" }
  gate.serve { registry {
    store = gate.store.fs { root = gate.env "TIDEGATE_DATA" },
    auth = auth.htpasswd(gate.env "TIDEGATE_USERS"),
    allow = function(q) return q.action == "pull" or q.repo:find "^open/" ~= nil, %q end,
  } }
]]):format(WHY)
local FILES = { few = tool.bytes(10, 1), some = tool.bytes(300000, 2) }

describe("clients with a password", function()
  local g, strict
  local folder = tool.tmpdir()

  setup(function()
    tool.write(folder .. "/users", users.line("ann", SECRET))
    local env = { TIDEGATE_USERS = folder .. "/users" }
    g = gateway.start { path = "examples/private.lua", env = env }
    strict = gateway.start { script = ONLY_USERS, env = env }
  end)

  teardown(function()
    for _, server in ipairs { g, strict } do
      assert.is_nil(server:log():find(SECRET, 1, true))
      assert.is_nil(server:log():find(users.basic("ann", SECRET):sub(7), 1, true))
      server:stop()
    end
    tool.remove(folder)
  end)

  local function start(driver)
    local why = clients.hindrance(driver)
    if why then pending(why) end
    local at = { folder = tool.tmpdir() }
    return driver.start(at), at.folder
  end

  -- It ends the client also when something fails.
  local function with(driver, f)
    local client, at = start(driver)
    local ok, why = pcall(f, client)
    client:stop()
    tool.remove(at)
    assert(ok, why)
  end

  local function refused(f, ...)
    local ok, why = pcall(f, ...)
    assert.is_false(ok)
    return why
  end

  for _, driver in ipairs(clients.wanted()) do
    it(driver.name .. " logs in where everybody may pull", function()
      local open = g.address .. "/open/" .. driver.name .. ":v1"
      local private = g.address .. "/private/" .. driver.name .. ":v1"
      with(driver, function(client)
        local why = refused(client.push, client, open, FILES)
        if not driver.missing.reason then
          assert.truthy(why:find("only users may change anything", 1, true), why)
        end
        refused(function()
          client:login(g.address, "ann", WRONG)
          client:push(open, FILES)
        end)
        client:login(g.address, "ann", SECRET)
        client:push(open, FILES)
        client:push(private, FILES)
        assert.same(FILES, client:pull(private))
      end)
      with(driver, function(client)
        assert.same(FILES, client:pull(open))
        refused(client.pull, client, private)
      end)
    end)

    it(driver.name .. " logs in where everybody must, and hears why it may not push", function()
      local open = strict.address .. "/open/" .. driver.name .. ":v1"
      local shut = strict.address .. "/shut:v1"
      with(driver, function(client)
        refused(client.push, client, open, FILES)
        client:login(strict.address, "ann", SECRET)
        client:push(open, FILES)
        assert.same(FILES, client:pull(open))
        local why = refused(client.push, client, shut, FILES)
        if not driver.missing.reason then assert.truthy(why:find(WHY, 1, true), why) end
      end)
    end)
  end
end)
