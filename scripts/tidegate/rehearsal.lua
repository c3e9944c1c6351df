-- SPDX-License-Identifier: Apache-2.0
--
-- Requests that no client sends: they go through the script's own hooks and handlers, in a VM
-- that serves nobody. What C adds to a reply (ranges, conditional requests, the framing) is not
-- part of it.
local core = require "tidegate.core"
local err = require "tidegate.error"
local json = require "tidegate.json"
local query = require "tidegate.query"
local request = require "tidegate.request"
local router = require "tidegate.router"
local serve = require "tidegate.serve"
local stream = require "tidegate.stream"

local M = {}

local BODY_MAX = 64 * 2 ^ 20 -- bytes of a reply

local made = 0 -- requests so far

local Request = {}

function Request.__index(q, name)
  if name == "user" then
    q.user = { name = "" }
    return q.user
  end
  return nil
end

local function lower(headers)
  local out = {}
  for name, value in pairs(headers or {}) do
    if type(value) == "table" then
      value = table.concat(value, ", ")
    end
    out[name:lower()] = tostring(value)
  end
  return out
end

-- A user as q.user is: of a name and a list of groups, or of such a table.
function M.user(user, groups)
  user = type(user) == "string" and { name = user, groups = groups } or user
  local set = {}
  for key, value in pairs(user.groups or {}) do
    set[type(key) == "number" and value or key] = true
  end
  user.groups = set
  return user
end

-- A request as handlers get it. Of the options only method and path are needed; body is a
-- stream, user a table: what authenticates takes it as it is.
function M.request(o)
  made = made + 1
  local path, text = o.path:match("^([^?]*)%??(.*)$")
  local first, lists = query.parse(text, router.decode)
  if not first then
    err.raise("INVALID", "the query has a malformed escape")
  end
  local headers = lower(o.headers)
  local address = o.address or "127.0.0.1"
  local peer = (address:find(":", 1, true) and "[%s]:1" or "%s:1"):format(address)
  local q = { method = o.method, path = path, query = first, queries = lists,
    headers = headers, authorization = headers.authorization,
    host = (headers.host or ""):gsub(":%d*$", ""):lower(),
    type = headers["content-type"] and query.type(headers["content-type"]),
    length = o.length, body = o.body, id = ("rehearsal-%d"):format(made),
    address = address, peer = peer, scheme = o.tls and "https" or "http", tls = o.tls,
    user = o.user, json = request.read_json, note = request.note }
  return setmetatable(q, Request)
end

-- A function's pieces, or a stream's bytes, as one text.
local function text_of(body)
  if stream.is_stream(body) then
    return body:text(BODY_MAX)
  end
  if type(body) == "function" then
    local pieces = {}
    body(function(piece)
      pieces[#pieces + 1] = piece
    end)
    return table.concat(pieces)
  end
  return type(body) == "table" and json.encode(body) or body or ""
end

-- The reply as a client would see it: { status, headers, body }, names in lower case; nil when
-- the request was cancelled.
function M.answer(q)
  local got
  serve.answer(q, function(_, r)
    local headers = lower(r.headers)
    if not headers["content-type"] and type(r.body) == "table" then
      headers["content-type"] = stream.is_stream(r.body) and r.body.type or "application/json"
    end
    local body = text_of(r.body)
    got = { status = r.status, headers = headers, body = q.method == "HEAD" and "" or body }
  end)
  return got
end

-- A stream of this text, for bodies.
function M.body(text)
  return stream.stream(core.memory(text))
end

return M
