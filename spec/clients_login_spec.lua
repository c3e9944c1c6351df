-- SPDX-License-Identifier: Apache-2.0
--
-- Real clients and a registry with users (examples/private.lua): each pulls without a password,
-- hears why it may not push, logs in, and pushes and pulls what is private. `make clients` tries
-- all of them, as spec/clients/init.lua says.
local clients = require "spec.clients"
local gateway = require "spec.gateway"
local tool = require "spec.tool"
local users = require "spec.users"

local SECRET, WRONG = "tr0ub4dor", "gu3ssed"
local FILES = { few = tool.bytes(10, 1), some = tool.bytes(300000, 2) }

describe("clients with a password", function()
  local g, folder = nil, tool.tmpdir()

  setup(function()
    tool.write(folder .. "/users", users.line("ann", SECRET))
    g = gateway.start {
      path = "examples/private.lua", env = { TIDEGATE_USERS = folder .. "/users" },
    }
  end)

  teardown(function()
    assert.is_nil(g:log():find(SECRET, 1, true))
    assert.is_nil(g:log():find(users.basic("ann", SECRET):sub(7), 1, true))
    g:stop()
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
  end
end)
