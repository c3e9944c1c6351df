-- SPDX-License-Identifier: Apache-2.0
--
-- Real clients over TLS, with a certificate of an authority that they are told to trust.
-- `make clients` tries all of them, as spec/clients/init.lua says.
local certs = require "spec.certs"
local clients = require "spec.clients"
local gateway = require "spec.gateway"
local tool = require "spec.tool"

local FILES = { few = tool.bytes(10, 1), many = tool.bytes(3000000, 2) }
local ARMS = { few = tool.bytes(10, 3) }

local SCRIPT = [[
  local gate = require "tidegate"
  local registry = require "apps.registry"
  gate.config { listen = { address = gate.env "TIDEGATE_LISTEN", tls = { cert = %q, key = %q } } }
  gate.serve { registry { store = gate.store.fs { root = gate.env "TIDEGATE_DATA" } } }
]]

describe("clients over TLS", function()
  local g, folder = nil, tool.tmpdir()

  setup(function()
    local ca = certs.authority(folder, "ca")
    local mine = ca:sign("mine", "IP:127.0.0.1,DNS:localhost,DNS:registry.test")
    tool.must(("mkdir %s/trust && cp %s %s/trust/ca.crt"):format(folder, ca.cert, folder))
    tool.must(("mkdir %s/distrust && cp %s %s/distrust/ca.crt"):format(folder,
      certs.authority(folder, "other").cert, folder))
    g = gateway.start { script = SCRIPT:format(mine.cert, mine.key) }
  end)

  teardown(function()
    g:stop()
    tool.remove(folder)
  end)

  -- It ends the client also when something fails.
  local function with(driver, trust, f)
    local why = clients.hindrance(driver) or driver.missing.tls
    if why then pending(why) end
    local at = { folder = tool.tmpdir(), certs = folder .. "/" .. trust }
    local client = driver.start(at)
    local ok, fault = pcall(f, client)
    client:stop()
    tool.remove(at.folder)
    assert(ok, fault)
  end

  for _, driver in ipairs(clients.wanted()) do
    local ref = "/tls/" .. driver.name .. ":v1"

    it(driver.name .. " pushes and pulls", function()
      with(driver, "trust", function(client)
        client:push(g.address .. ref, FILES)
        assert.same(FILES, client:pull(g.address .. ref))
      end)
    end)

    it(driver.name .. " pushes for two architectures, and pulls one", function()
      local why = driver.missing.push_index or driver.missing.tls_index
      if why then pending(why) end
      with(driver, "trust", function(client)
        client:push_index(g.address .. ref .. "-index", { amd64 = FILES, arm64 = ARMS })
        assert.same(ARMS, client:pull(g.address .. ref .. "-index", "arm64"))
      end)
    end)

    it(driver.name .. " does not talk to whom it has no reason to trust", function()
      if driver.missing.verify then pending(driver.missing.verify) end
      with(driver, "distrust", function(client)
        local ok, why = pcall(client.push, client, g.address .. ref, FILES)
        assert.is_false(ok)
        assert.truthy(why:lower():find "certificate" or why:lower():find "x509", why)
      end)
    end)
  end
end)
