-- SPDX-License-Identifier: Apache-2.0
--
-- The other registry: Debian's docker-registry on a directory, to exchange it with.
local gateway = require "spec.gateway"
local mime = require "mime"
local tool = require "spec.tool"

local CONFIG = [[
version: 0.1
log: { accesslog: { disabled: true } }
storage:
  filesystem: { rootdirectory: %s }
  delete: { enabled: true }
http: { addr: "127.0.0.1:0", secret: "%s" }
]]

local M = {}

-- What signs the state of uploads, unless told otherwise.
M.SECRET = "spec"

-- Starts it; the same object as gateway.start returns.
function M.start(root, secret)
  local folder = tool.tmpdir()
  tool.write(folder .. "/config.yml", CONFIG:format(root, secret or M.SECRET))
  return gateway.spawn {
    command = { "docker-registry", "serve", folder .. "/config.yml" },
    folder = folder,
  }
end

-- The address under which it goes on with a session that is in its directory: clients of this
-- registry carry the state of an upload along, signed.
function M.place(repo, id, offset)
  local state = ('{"Name":"%s","UUID":"%s","Offset":%d,"StartedAt":"%s"}')
    :format(repo, id, offset, os.date("!%Y-%m-%dT%H:%M:%SZ"))
  local token = mime.b64(tool.hmac(M.SECRET, state) .. state):gsub("[+/=]", {
    ["+"] = "-", ["/"] = "_", ["="] = "%3D",
  })
  return ("/v2/%s/blobs/uploads/%s?_state=%s"):format(repo, id, token)
end

return M
