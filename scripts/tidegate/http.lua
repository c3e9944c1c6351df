-- SPDX-License-Identifier: Apache-2.0
--
-- gate.http: requests to other servers. What moves, and when it is too late, is C's affair.
local core = require "tidegate.core"
local check = require("tidegate.check").check
local err = require "tidegate.error"
local query = require "tidegate.query"
local stream = require "tidegate.stream"

local M = {}

local OPTIONS = {
  headers = "table", query = "table", body = "any",
  connect = { "duration", default = 10, min = 0.001 },
  stall = { "duration", default = 30, min = 0.001 },
  timeout = { "duration", default = 3600, min = 0.001 },
  follow = { "integer", default = 0, min = 0, max = 10 },
  limit = { "size", min = 1 },
  ca = "string", proxy = "string",
}

-- { name = value or list } to { name, value, name, value, … }
local function flat(headers)
  local out = {}
  for name, value in pairs(headers or {}) do
    for _, v in ipairs(type(value) == "table" and value or { value }) do
      if type(name) ~= "string" or type(v) ~= "string" and type(v) ~= "number" then
        error("gate.http: a header must be a string, a number or a list of them", 3)
      end
      out[#out + 1] = name
      out[#out + 1] = tostring(v)
    end
  end
  return out
end

local function with_query(url, values)
  if not values or next(values) == nil then
    return url
  end
  local text = query.build(values)
  if not text then
    error("gate.http: a query's values must be strings, numbers or lists of them", 3)
  end
  url = url:match("^[^#]*")
  return url .. (url:find("?", 1, true) and "&" or "?") .. text
end

local function body_of(value)
  if stream.is_stream(value) then
    return value.box
  end
  if value ~= nil and type(value) ~= "string" then
    error("gate.http: the body must be a string or a stream, got " .. type(value), 3)
  end
  return value
end

-- What really sends: the status, the headers, the body's stream in C, and its size if known.
-- For rehearsals to replace.
function M.transfer(method, url, headers, body, o)
  return err.check(core.result(core.http(method, url, headers, body, o)))
end

local function send(method, url, o)
  if type(method) ~= "string" or type(url) ~= "string" then
    error("gate.http: a method and a URL are expected", 3)
  end
  url = with_query(url, o.query)
  local status, headers, box, size = M.transfer(method, url, flat(o.headers), body_of(o.body),
    o)
  local body = stream.stream(box)
  body.size, body.type = size, headers["content-type"]
  return { status = status, headers = headers, body = body }
end

function M.request(method, url, options)
  local answer = send(method, url, check(options or {}, OPTIONS, "gate.http.request"))
  return answer
end

function M.get(url, options)
  local answer = send("GET", url, check(options or {}, OPTIONS, "gate.http.get"))
  return answer
end

return M
