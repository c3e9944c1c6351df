-- SPDX-License-Identifier: Apache-2.0
--
-- Stores: gate.store.KIND { … } and what can be asked of one.
local core = require "tidegate.core"
local checks = require "tidegate.check"
local claims = require "tidegate.claims"
local closed = require "tidegate.closed"
local config = require "tidegate.config"
local err = require "tidegate.error"
local stream = require "tidegate.stream"
local units = require "tidegate.units"

local M = {}

local check = checks.check
local result, raise_or, object = core.result, err.check, stream.object
local NONE = {}

local KINDS = {
  fs = {
    root = { "string", needed = true },
    durability = { "string", default = "sync", one_of = { "sync", "async" } },
    reserve = { "size", default = 64 * 2 ^ 20 },
  },
  mem = {
    name = { "string", needed = true },
    limit = { "size", default = 256 * 2 ^ 20 },
    delay = "duration",
    fail = "string",
    stale = { "integer", min = 0 },
  },
}

local OPEN = { offset = "size", size = "size", immutable = "boolean" }
local CREATE = { if_absent = "boolean", type = "string", meta = "table" }
local MOVE = { size = "size" }
local LIST = { delimiter = "boolean", after = "string",
  limit = { "integer", default = 1000, min = 1, max = 1000 } }
local URL = { method = { "string", default = "GET", one_of = { "GET", "HEAD", "PUT" } },
  expires = { "duration", default = 1200 } }

local named = {}

local Store = closed({}, "a store")
Store.__index = Store

-- For rehearsals, which put others in their place: what can be asked of a store, and what makes
-- one of a kind and its options.
M.methods = Store
M.make = core.store

function M.is(value)
  return getmetatable(value) == Store
end

local function canonical(options, schema)
  local out = {}
  for name, value in pairs(options) do
    local rule = schema[name]
    local kind = type(rule) == "table" and rule[1] or rule
    if kind == "size" then
      value = ("%.0f"):format(value)
    elseif kind == "duration" then
      value = ("%.0f"):format(value * 1e9)
    end
    out[name] = tostring(value)
  end
  return out
end

-- gate.store: one constructor a kind. gate.config comes before any of them.
M.kinds = setmetatable({}, {
  __index = function(_, kind)
    error(("gate.store: there is no kind '%s'%s"):format(tostring(kind),
      checks.hint(kind, KINDS)), 2)
  end,
})

for kind, schema in pairs(KINDS) do
  M.kinds[kind] = function(options)
    local read = check(options, schema, "gate.store." .. kind)
    config.close()
    local store = setmetatable({ box = M.make(kind, canonical(read, schema)) }, Store)
    named[#named + 1] = { kind = kind, store = store }
    return store
  end
end

-- Those that the script has named, with their kinds.
function M.named()
  return named
end

function Store:at(prefix)
  local box = core.store_at(self.box, prefix)
  if not box then
    err.raise("INVALID", "this cannot be a prefix of keys")
  end
  return setmetatable({ box = box }, Store)
end

function Store:is_key(text)
  return core.store_is_key(self.box, text)
end

local CLAIM = { below = { "string", default = "" }, shared = { "boolean", default = false } }

function Store:claim(what, options)
  local o = check(options or {}, CLAIM, "store:claim")
  local id, prefix = core.store_id(self.box)
  if o.below ~= "" and o.below:sub(-1) ~= "/" then
    o.below = o.below .. "/"
  end
  local ok, wrong = pcall(claims.add, id, prefix .. o.below, what, o.shared)
  if not ok then
    error("store:claim: " .. wrong, 2)
  end
end

function Store:stat(key)
  return object(raise_or(result(core.store_stat(self.box, key))))
end

function Store:open(key, options)
  local o = options and check(options, OPEN, "store:open") or NONE
  return stream.opened(raise_or(result(core.store_open(self.box, key, o.offset, o.size,
    o.immutable))))
end

local function with_object(bytes, ...)
  return bytes, object(...)
end

function Store:read(key, limit)
  local n = units.size(limit)
  if not n then
    error("store:read: a limit is needed, such as \"1m\"", 2)
  end
  return with_object(raise_or(result(core.store_read(self.box, key, n))))
end

function Store:create(key, options)
  local o = options and check(options, CREATE, "store:create") or NONE
  return stream.sink(raise_or(result(core.store_create(self.box, key, o.if_absent, o.type,
    o.meta))))
end

function Store:append(key, offset)
  return stream.sink(raise_or(result(core.store_append(self.box, key, offset))))
end

function Store:put(key, bytes, options)
  local o = options and check(options, CREATE, "store:put") or NONE
  return object(raise_or(result(core.store_put(self.box, key, bytes, o.if_absent, o.type,
    o.meta))))
end

function Store:put_if(key, bytes, version)
  return object(raise_or(result(core.store_put_if(self.box, key, bytes, version))))
end

function Store:list(prefix, options)
  local o = check(options or NONE, LIST, "store:list")
  return raise_or(result(core.store_list(self.box, prefix, o.delimiter, o.after, o.limit)))
end

function Store:copy(from, to)
  return raise_or(result(core.store_copy(self.box, from, to)))
end

function Store:move(from, to, options)
  local o = options and check(options, MOVE, "store:move") or NONE
  return raise_or(result(core.store_move(self.box, from, to, o.size)))
end

function Store:concat(keys, to)
  return raise_or(result(core.store_concat(self.box, to, keys)))
end

function Store:remove(key)
  return raise_or(result(core.store_remove(self.box, key)))
end

function Store:remove_prefix(prefix)
  return raise_or(result(core.store_remove_prefix(self.box, prefix)))
end

function Store:touch(key)
  return raise_or(result(core.store_touch(self.box, key)))
end

function Store:expire(key, before)
  return raise_or(result(core.store_expire(self.box, key, before)))
end

function Store:url(key, options)
  local o = check(options or NONE, URL, "store:url")
  return raise_or(result(core.store_url(self.box, key, o.method, o.expires)))
end

return M
