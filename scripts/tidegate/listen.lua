-- SPDX-License-Identifier: Apache-2.0
--
-- `listen` of gate.config: an address, a table about one listener, or a list of both.
local bounds = require "tidegate.bounds"
local check = require("tidegate.check").check
local core = require "tidegate.core"

local M = {}

-- What a listener may say about itself.
local LISTENER = {
  address = { "string", needed = true },
  tls = "table",
  trust = "table", proxy = { "boolean", default = false },
  forwarded = { "string", default = "x-forwarded-for",
    one_of = { "x-forwarded-for", "forwarded", "none" } },
  limits = { fields = bounds.LISTENER },
}

local PAIR = { cert = { "string", needed = true }, key = "string" }

local TLS = {
  cert = "string", key = "string", certs = "table",
  client = "string", require = { "boolean", default = false },
  ktls = { "boolean", default = true },
}

-- What follows raises its errors at `level`, 1 being the function itself.

local function read_certs(o, where, level)
  if (o.cert == nil) == (o.certs == nil) then
    error(where .. ": either 'cert' (and 'key') or 'certs', a list of such, is needed", level)
  end
  if o.cert then
    return { { cert = o.cert, key = o.key } }
  end
  if o.key or #o.certs == 0 then
    error(where .. ": 'certs' must be a list of tables with 'cert' and 'key'", level)
  end
  local certs = {}
  for i, pair in ipairs(o.certs) do
    certs[i] = check(pair, PAIR, ("%s.certs[%d]"):format(where, i), level - 1)
  end
  return certs
end

local function read_tls(tls, where, level)
  local o = check(tls, TLS, where, level - 1)
  if o.require and not o.client then
    error(where .. ": 'require' needs 'client', the file of those who sign certificates", level)
  end
  o.certs = read_certs(o, where, level + 1)
  return o
end

local function check_trust(o, where, level)
  for _, range in ipairs(o.trust or {}) do
    if type(range) ~= "string" or not core.is_range(range) then
      local what = type(range) == "string" and ('"%s"'):format(range) or "a " .. type(range)
      error(where .. ": 'trust' must be a list of addresses and ranges such as \"10.0.0.0/8\"; "
        .. what .. " is none", level)
    end
  end
  if o.proxy and #(o.trust or {}) == 0 then
    error(where .. ": 'proxy' needs 'trust', the addresses of those who send its header", level)
  end
end

-- What a listener does not bound has the bounds of all.
local function read_limits(own, common, where, level)
  own.body = own.body or common.body
  for name, value in pairs(common.per_address) do
    if own.per_address[name] == nil then
      own.per_address[name] = value
    end
  end
  bounds.fill(own, where, level)
  bounds.fill(own.per_address, where .. ".per_address", level)
end

-- One entry as C reads it; `common` are the limits of listeners that set none.
local function read(entry, common, where, level)
  if type(entry) == "string" then
    entry = { address = entry }
  elseif type(entry) ~= "table" then
    error(where .. ": an address or a table about a listener is expected, got "
      .. type(entry), level)
  end
  local o = check(entry, LISTENER, where, level - 1)
  check_trust(o, where, level + 1)
  if not core.is_address(o.address) then
    error(('%s: "%s" is no address, such as "127.0.0.1:5000" (the host is a number, or missing), '
      .. '"[::1]:5000" or "unix:/run/tidegate.sock"'):format(where, o.address), level)
  end
  o.tls = o.tls and read_tls(o.tls, where .. ".tls", level + 1)
  read_limits(o.limits, common, where .. ".limits", level + 1)
  return o
end

-- Several sockets of the service manager under one name are several listeners that say the same.
local function add(out, o)
  for i = 1, math.max(core.handed(o.address), 1) do
    local copy = {}
    for key, value in pairs(o) do
      copy[key] = value
    end
    copy.address = i == 1 and o.address or ("%s#%d"):format(o.address, i)
    out[#out + 1] = copy
  end
end

-- A list of tables, or an error at `level`; `common` are the limits of listeners that set none.
function M.read(listen, common, level)
  local list = listen
  if type(listen) ~= "table" or listen[1] == nil and next(listen) ~= nil then
    list = { listen }
  end
  if #list == 0 then
    error("gate.config: 'listen' must be an address, a table about a listener, or a list"
      .. " of them", level)
  end
  local out = {}
  for i, entry in ipairs(list) do
    local where = "gate.config: listen" .. (list == listen and ("[%d]"):format(i) or "")
    add(out, read(entry, common, where, level + 1))
  end
  return out
end

return M
