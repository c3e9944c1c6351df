-- SPDX-License-Identifier: Apache-2.0
--
-- Streams and sinks: the ends of pipes. What moves is C's affair.
local core = require "tidegate.core"
local check = require("tidegate.check").check
local err = require "tidegate.error"
local units = require "tidegate.units"

local M = {}

local Stream, Sink = {}, {}
Stream.__index, Sink.__index = Stream, Sink

local INTO = { hash = "table", expect = "string", verify = "string", states = "table",
  limit = "size" }
local COMMIT = { if_absent = "boolean" }
local NONE = {}

-- What is known of an object, as a table; nil when it is absent.
function M.object(size, modified, etag, kind, meta)
  if not size then
    return nil
  end
  return { size = size, modified = modified, etag = etag, type = kind, meta = meta or {} }
end

-- A stream of bytes that nobody knows anything about yet.
function M.stream(box)
  return setmetatable({ box = box }, Stream)
end

-- An opened object: its facts and its stream; nil when it is absent. No tail call: LuaJIT compiles
-- nothing that begins in a function which ends in one of setmetatable.
function M.opened(box, size, modified, etag, kind, meta)
  if not box then
    return nil
  end
  return (setmetatable({ box = box, size = size, modified = modified, etag = etag, type = kind,
    meta = meta or {} }, Stream))
end

function M.sink(box)
  return setmetatable({ box = box }, Sink)
end

function M.is_stream(value)
  return getmetatable(value) == Stream
end

function Stream:into(sink, options)
  if sink ~= nil and getmetatable(sink) ~= Sink then
    error("stream:into: a sink is expected, got " .. type(sink), 2)
  end
  local o = options and check(options, INTO, "stream:into") or NONE
  local expect = o.expect
  if o.verify then
    if expect then
      error("stream:into: expect and verify exclude each other", 2)
    end
    expect = "sha256:" .. o.verify
  end
  return err.check(core.result(core.into(self.box, sink and sink.box, o.hash, expect,
    o.states, o.limit)))
end

function Stream:text(limit)
  local n = units.size(limit)
  if not n then
    error("stream:text: a limit is needed, such as \"1m\"", 2)
  end
  return err.check(core.result(core.text(self.box, n)))
end

-- An iterator over the bytes, in pieces of at most `size`.
function Stream:chunks(size)
  local n = units.size(size)
  if not n then
    error("stream:chunks: a size is needed, such as \"64k\"", 2)
  end
  return function()
    return err.check(core.result(core.chunk(self.box, n)))
  end
end

function Sink:commit(key, options)
  local o = options and check(options, COMMIT, "sink:commit") or NONE
  return M.object(err.check(core.result(core.sink_commit(self.box, key, o.if_absent))))
end

function Sink:abort()
  return err.check(core.result(core.sink_abort(self.box)))
end

return M
