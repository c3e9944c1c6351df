-- SPDX-License-Identifier: Apache-2.0
--
-- What the suite's HTTP client, which is Go's, makes of a request: it has headers of its own,
-- sends everything on one connection, and, asked who it is, shows its password or fetches a token,
-- which it keeps for each repository and kind of request.
local assert = require "luassert"
local pusher = require "spec.pusher"
local users = require "spec.users"

local KINDS = { GET = "pull", HEAD = "pull", POST = "push", PATCH = "push", PUT = "push" }
local REPOSITORIES = { "/blobs/", "/manifests/", "/tags/", "/referrers/" }

local M = {}

local agent = {}
agent.__index = agent

-- For a server.   host   what it is called, instead of its address     user, password   who it is
function M.new(server, options)
  return setmetatable({ server = server, host = options.host or server.address,
    user = options.user, password = options.password,
    shown = {}, -- by key: what was shown when asked
    opened = 0, -- connections
  }, agent)
end

-- "repository kind", for which the answer to one challenge holds
local function key(method, path)
  local stop = #path
  for _, word in ipairs(REPOSITORIES) do stop = math.min(stop, path:find(word, 1, true) or stop) end
  return path:sub(1, stop) .. " " .. (KINDS[method] or method)
end

-- A server that closes a connection has to say so before.
function agent:send(method, path, options)
  if not self.connection then
    self.connection, self.opened = self.server:raw(), self.opened + 1
  end
  local reply = self.connection:request(method, path, options)
  if reply.header("connection") == "close" then self:close() end
  return reply
end

function agent:close()
  if self.connection then self.connection:close() end
  self.connection = nil
end

local function escape(text)
  return (text:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- What a challenge wants to be shown.
function agent:answer(challenge)
  local password = users.basic(self.user, self.password)
  if challenge:find "^Basic " then return password end
  local asked = {}
  for name, value in challenge:gmatch '(%a+)="(.-)"' do asked[name] = value end
  local path = assert(asked.realm, challenge):gsub("^http://" .. self.host:gsub("%p", "%%%0"), "")
  assert.equal("/", path:sub(1, 1), "tokens are fetched here")
  local reply = self:send("GET", ("%s?%sservice=%s"):format(path,
    asked.scope and "scope=" .. escape(asked.scope) .. "&" or "", escape(asked.service)),
    { headers = self:headers("GET", { Authorization = password, Accept = "application/json" }) })
  assert.equal(200, reply.status, reply.body)
  return "Bearer " .. pusher.decode(reply.body).access_token
end

-- All headers of a request.
function agent:headers(method, given)
  local headers = { Host = self.host, ["User-Agent"] = "Go-http-client/1.1" }
  if method ~= "HEAD" and not (given and given.Range) then headers["Accept-Encoding"] = "gzip" end
  for name, value in pairs(given or {}) do headers[name] = value end
  return headers
end

function agent:request(method, path, options)
  local o = { headers = self:headers(method, options and options.headers) }
  for name, value in pairs(options or {}) do o[name] = o[name] or value end
  local place = key(method, path)
  o.headers.Authorization = self.shown[place]
  local reply = self:send(method, path, o)
  if reply.status ~= 401 or not self.user then return reply end
  self.shown[place] = self:answer(assert(reply.header("www-authenticate"), "a 401 says how"))
  o.headers.Authorization = self.shown[place]
  return self:send(method, path, o)
end

return M
