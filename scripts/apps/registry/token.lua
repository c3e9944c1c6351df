-- SPDX-License-Identifier: Apache-2.0
--
-- Logging in where nobody is welcome, too.
--
-- Clients of the older kind (docker's own store, skopeo, podman) learn from `GET /v2/` alone
-- whether to send their password. After a 200 docker never sends it; after a 401 that asks for
-- Basic it does not go on without one. A 401 that asks for a token serves both: each client fetches
-- one, with its password or without. So a registry whose users may also be nobody answers `/v2/`
-- in this way.
--
-- The token is what the client would have sent as Basic: name and password, in base64, and those of
-- nobody are empty. So there is nothing to sign, to share among gateways or to expire, a changed
-- password is in effect at once, and a token is worth what the password is worth that was sent for
-- it. Basic is understood everywhere, too.
local gate = require "tidegate"
local reply = require "apps.registry.reply"

local PATH = "/_token" -- no repository's name begins so
local NOBODY = gate.base64.encode(":")
local EXPIRES_S = 3600 -- what clients are told

-- what a token has to be good for, by action
local NEEDS = {
  pull = "pull", push = "pull,push", tag = "pull,push", mount = "pull,push",
  untag = "delete", delete = "delete",
}

local M = {}

-- Where clients reach this gateway, or nil for a host that cannot stand in a header.
local function address(reg, q)
  if reg.url then return reg.url end
  local host = q.headers.host or ""
  if not host:find "^[%w%.%-:%[%]_]+$" then return nil end
  return q.scheme .. "://" .. host
end

local function scope(reg, q)
  local actions = NEEDS[q.action]
  if not actions or not q.repo then return "" end
  return (',scope="repository:%s:%s"'):format(reg.space.outer(q.repo), actions)
end

-- What WWW-Authenticate says: a function of the request.
function M.challenge(reg)
  return function(q)
    local at = address(reg, q)
    if not at then return reg.who.challenge end
    return ('Bearer realm="%s%s%s",service="%s"%s'):format(at, reg.prefix, PATH,
      at:match "^%a+://(.*)$", scope(reg, q))
  end
end

-- "repository:NAME:pull" and nothing else, in one parameter or several?
local function only_reads(scopes)
  local n = 0
  for _, list in ipairs(scopes or {}) do
    for one in list:gmatch "%S+" do
      if not one:find "^repository:.*:pull$" then return false end
      n = n + 1
    end
  end
  return n > 0
end

local function refuse(q)
  gate.fail(401, "UNAUTHORIZED", q.user.refused or "who are you?")
end

-- Pulls get a token whatever was sent along, since everybody may have that one. A login asks for no
-- repository and has to hear that its password is wrong.
local function give(q)
  if q.user.refused and not only_reads(q.queries.scope) then refuse(q) end
  local own = q.user.name ~= "" and q.authorization and q.authorization:match "^%a+ +(.*)$"
  local token = own or NOBODY
  return reply(200, { token = token, access_token = token, expires_in = EXPIRES_S },
    { ["Cache-Control"] = "no-store" })
end

function M.routes(app)
  app:get(PATH, give)
  app:get("/", function(q)
    if not q.authorization or q.user.refused then refuse(q) end
    return reply(200, {})
  end)
end

return M
