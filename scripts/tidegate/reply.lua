-- SPDX-License-Identifier: Apache-2.0
--
-- Replies: what a handler returns, and how it is handed to C.
local core = require "tidegate.core"
local err = require "tidegate.error"
local json = require "tidegate.json"
local stream = require "tidegate.stream"

local M = {}

local Reply = {}
Reply.__index = Reply

-- No tail call, so that it can be compiled; see stream.lua.
function M.new(status, body, headers)
  return (setmetatable({ status = status, body = body, headers = headers }, Reply))
end

function M.is(value)
  return getmetatable(value) == Reply
end

-- A body that a function writes: it runs now, and the head is sent with the first write. From
-- there on q.told says that no other reply can be sent.
local function tell(q, r)
  core.reply(q.box, r.status, r.headers)
  if q.method == "HEAD" or r.status == 204 or r.status == 304 then
    return nil
  end
  r.body(function(text)
    q.told = q.told or core.tell(q.box)
    err.check(core.result(core.write(q.told, text)))
  end)
  core.told(q.told or core.tell(q.box))
  return nil
end

-- Hands the reply to C and returns what must stay alive until it is sent.
function M.send(q, r)
  local box, body, headers = q.box, r.body, r.headers
  if type(body) == "function" then
    return tell(q, r)
  end
  if type(body) ~= "table" then
    if body ~= nil and type(body) ~= "string" then
      error("reply: the body must be a string, an object, a table or a function, got "
        .. type(body), 0)
    end
    return core.reply(box, r.status, headers, nil, body)
  end
  if stream.is_stream(body) then
    return core.reply(box, r.status, headers, body.type, body.box, body.etag, body.modified)
  end
  return core.reply(box, r.status, headers, "application/json", json.encode(body))
end

return M
