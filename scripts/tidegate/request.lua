-- SPDX-License-Identifier: Apache-2.0
--
-- The request that handlers get. What is asked for first is fetched then and kept.
local core = require "tidegate.core"
local err = require "tidegate.error"
local json = require "tidegate.json"
local query = require "tidegate.query"
local router = require "tidegate.router"
local schemas = require "tidegate.schema"
local stream = require "tidegate.stream"
local check = require("tidegate.check").check

local M = {}

local JSON = { limit = { "size", default = 2 ^ 20 } }
local NOBODY = ""

local function parse_query(q)
  local _, _, text = core.request_line(q.box)
  local first, lists = query.parse(text or "", router.decode)
  if not first then
    err.raise("INVALID", "the query has a malformed escape")
  end
  q.query, q.queries = first, lists
end

local function facts(q)
  q.id, q.address, q.peer, q.scheme, q.length = core.request_facts(q.box)
end

-- The name alone: "[::1]:5000" is "[::1]", of nothing "".
local function host(q)
  local text = core.request_header(q.box, "host") or ""
  q.host = (text:gsub(":%d*$", "")):lower()
end

local LAZY = {
  host = host,
  authorization = function(q)
    q.authorization = core.request_header(q.box, "authorization")
  end,
  headers = function(q)
    q.headers = core.request_headers(q.box)
  end,
  type = function(q)
    local header = core.request_header(q.box, "content-type")
    q.type = header and query.type(header)
  end,
  body = function(q)
    local box = core.request_body(q.box)
    q.body = box and stream.stream(box)
  end,
  tls = function(q)
    q.tls = core.request_tls(q.box)
  end,
  user = function(q)
    q.user = { name = NOBODY }
  end,
  query = parse_query,
  queries = parse_query,
  id = facts,
  address = facts,
  peer = facts,
  scheme = facts,
  length = facts,
}

-- q:json: the decoded body. Waits.
function M.read_json(self, schema, options)
  local o = check(options or {}, JSON, "q:json")
  if schema ~= nil then
    schemas.verify(schema)
  end
  local kind = self.type
  if not kind or not (kind == "application/json" or kind:sub(-5) == "+json") then
    err.fail(415, "UNSUPPORTED_TYPE", "a JSON body is expected")
  end
  if not self.body then
    err.raise("INVALID", "the JSON text is not valid at byte 0")
  end
  local value = json.decode(self.body:text(o.limit))
  local fault = schema ~= nil and schemas.fault(value, schema, json.is_array)
  if fault then
    err.raise("INVALID", ("the value at '%s' does not fit"):format(fault), nil,
      { pointer = fault, detail = { pointer = fault } })
  end
  return value
end

-- q:note: what the access log says of the request besides its own fields. Does not wait. In a
-- rehearsal, which has no box, nothing is written.
function M.note(self, fields)
  core.note(self.box, fields)
end

local Meta = {
  __index = function(q, name)
    local fetch = LAZY[name]
    if fetch then
      fetch(q)
      return rawget(q, name)
    end
    return nil
  end,
}

function M.new(box, method, path)
  return setmetatable({ box = box, method = method, path = path, json = M.read_json,
    note = M.note }, Meta)
end

return M
