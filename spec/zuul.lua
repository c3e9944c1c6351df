-- SPDX-License-Identifier: Apache-2.0
--
-- The other registry of the layout "zuul": zuul-registry, where .ci/zuul-registry has installed it.
local gateway = require "spec.gateway"
local json = require "dkjson"
local lfs = require "lfs"
local mime = require "mime"
local tool = require "spec.tool"

local PYTHON = "build/zuul-registry/bin/python3"
local PROGRAM = "build/zuul-registry/bin/zuul-registry"

local CONFIG = [[
registry:
  address: 127.0.0.1
  port: 0
  public-url: http://127.0.0.1
  secret: spec
  users: [{ name: spec, pass: secret, access: write }]
  storage: { driver: filesystem, root: %s }
]]

-- What its own command does, without its drivers for cloud stores, which need much else.
local LOAD = [[
import sys, types, cherrypy
for name in "swift", "s3":
    module = types.ModuleType("zuul_registry." + name)
    module.Driver = None
    sys.modules[module.__name__] = module
from zuul_registry.main import RegistryServer
server = RegistryServer(sys.argv[1])
]]

-- It says where it listens.
local SERVE = LOAD .. [[
server.start()
cherrypy.tools.check_auth.public_url = "http://127.0.0.1:%d" % server.port
print("listening on 127.0.0.1:%d" % server.port, flush=True)
cherrypy.engine.block()
]]

local M = { user = "spec:secret" }

-- Why it cannot be had, or nil.
function M.missing()
  if lfs.attributes(PROGRAM, "mode") then return nil end
  return "zuul-registry is not installed: run .ci/zuul-registry build/zuul-registry"
end

-- Starts it; the same object as gateway.start returns, whose requests are those of a user who may
-- push.
function M.start(root)
  local folder = tool.tmpdir()
  tool.write(folder .. "/registry.yaml", CONFIG:format(root))
  local s = gateway.spawn {
    command = { PYTHON, "-c", SERVE, folder .. "/registry.yaml" },
    folder = folder,
  }
  local plain = s.request
  local token = json.decode(plain(s, "GET", "/auth/token?scope=repository:any:push,pull",
    { headers = { Authorization = "Basic " .. mime.b64(M.user) } }).body).token

  function s:request(method, path, options)
    options = options or {}
    -- it wants a type of each body, and an Accept
    local headers = { Authorization = "Bearer " .. token, Accept = "*/*",
      ["Content-Type"] = "application/octet-stream" }
    for name, value in pairs(options.headers or {}) do headers[name] = value end
    return plain(self, method, path, { body = options.body, chunked = options.chunked,
      headers = headers })
  end

  return s
end

-- Runs its prune over a folder.
function M.prune(root, expiration)
  local folder = tool.tmpdir()
  tool.write(folder .. "/registry.yaml", (CONFIG:gsub("root: %%s",
    ("root: %s, expiration: %d"):format(root, expiration))))
  tool.must(("%s -c %s %s/registry.yaml"):format(PYTHON,
    tool.quote(LOAD .. "server.prune(False)"), folder))
  tool.remove(folder)
end

return M
