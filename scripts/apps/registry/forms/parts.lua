-- SPDX-License-Identifier: Apache-2.0
--
-- Upload sessions in the form "parts", for stores that cannot append, and zuul-registry's own: each
-- body is an object of its own, and a record beside them says how many there are, the size and the
-- checksums of each, and the state of the running SHA-256 behind the last one:
--
--   {"chunks": [{"size": 5, "md5": "…"}, …], "hash_state": {"hash", "counter", "buffer"}}
--
-- The record is the truth. It names a part only when that is durable, and is written by put_if over
-- the version that was read; so of all that append at the same moment, exactly one does, and any
-- gateway goes on without reading a byte again. What came of a body that broke off is gone.
--
-- A part is made only where none is. One that is there and stands in no record was left by somebody
-- who was stopped before he wrote the record, or is about to: whoever wants its place writes the
-- record first, with another `epoch`, so that the other one cannot any more; then it may go. Where
-- the store's clocks differ, what goes may be the next one's: his upload then cannot be ended, and
-- is begun again.
--
-- forms/init.lua says what each function is for.
local format = require "tidegate.format"
local gate = require "tidegate"
local sessions = require "apps.registry.sessions"

local RECORD_MAX = 4 * 1024 * 1024 -- bytes
local RECORD_FORMAT = 1
local PARTS_MAX = 10000
local CONCAT_MAX = 1000 -- objects that a store joins at once
local TICK = 1e-6 -- seconds: no two writes of one key are as near
local TRIES = 100 -- each time, somebody else has put a part there
local SUMS = { "crc32c" } -- of each part, unless the layout names others
local LINE = 57 -- bytes of a line of base64 as Python breaks it

-- A portable state of SHA-256 (Go's form) before the first byte.
local STATE_SIZE = 108
local BEGINNING = "sha\3" .. gate.base64.decode "agnmZ7tnroU8bvNypU/1OlEOUn+bBWiMH4PZq1vgzRk="
  .. ("\0"):rep(72)

local M = {}

-- The record's form of a state: the chaining value, how many bytes it covers, and those behind.
local function to_record(state)
  local size = 0
  for i = 101, STATE_SIZE do size = size * 256 + state:byte(i) end
  local rest = size % 64
  return { hash = state:sub(5, 36), counter = size - rest, buffer = state:sub(37, 36 + rest) }
end

local function from_record(known, size)
  local hash, counter, buffer = known.hash, known.counter, known.buffer
  if #hash ~= 32 or counter + #buffer ~= size or #buffer > 63 or counter % 64 ~= 0 then
    return nil
  end
  local bytes = {}
  for i = 8, 1, -1 do
    bytes[i] = string.char(size % 256)
    size = math.floor(size / 256)
  end
  return "sha\3" .. hash .. buffer .. ("\0"):rep(64 - #buffer) .. table.concat(bytes)
end

local function lines(bytes)
  local out = {}
  for i = 1, #bytes, LINE do
    out[#out + 1] = gate.base64.encode(bytes:sub(i, i + LINE - 1)) .. "\\n"
  end
  return '"' .. table.concat(out) .. '"'
end

-- As the other registry would write it, but for checksums that it does not know.
local function encode(s)
  local chunks, state = {}, to_record(s.state)
  for i, part in ipairs(s.parts) do
    local fields = { ('"size": %d'):format(part.size) }
    for _, sum in ipairs(s.sums) do
      if part[sum] then fields[#fields + 1] = ('"%s": "%s"'):format(sum, part[sum]) end
    end
    chunks[i] = "{" .. table.concat(fields, ", ") .. "}"
  end
  local epoch = s.epoch > 0 and (', "epoch": %d'):format(s.epoch) or ""
  return ('{"chunks": [%s], "hash_state": {"hash": %s, "counter": %d, "buffer": %s}%s}'):format(
    table.concat(chunks, ", "), lines(state.hash), state.counter, lines(state.buffer), epoch)
end

local function is_count(value)
  return type(value) == "number" and value >= 0 and value % 1 == 0 and value < 2 ^ 53
end

local function decode_base64(text)
  return type(text) == "string" and gate.base64.decode((text:gsub("\n", ""))) or nil
end

-- The state, or nil for one that is of another kind, or stands elsewhere.
local function read_state(known, size)
  if type(known) ~= "table" or not is_count(known.counter) then return nil end
  local hash, buffer = decode_base64(known.hash), decode_base64(known.buffer)
  return hash and buffer
    and from_record({ hash = hash, counter = known.counter, buffer = buffer }, size) or nil
end

-- What a record says of its parts, and the sum of their sizes; nil if it says nothing.
local function read_parts(chunks, sums)
  local parts, size = {}, 0
  if type(chunks) ~= "table" then return nil end
  for i, chunk in ipairs(chunks) do
    if type(chunk) ~= "table" or not is_count(chunk.size) then return nil end
    parts[i] = { size = chunk.size }
    for _, sum in ipairs(sums) do
      parts[i][sum] = type(chunk[sum]) == "string" and chunk[sum]:match "^%x+$" or nil
    end
    size = size + chunk.size
  end
  return parts, size
end

-- Writes the record of the session, as `changes` make it; EXISTS when somebody else has, or the
-- session is gone. Then what is known of it here is as it was.
local function save(reg, s, changes)
  local new = setmetatable(changes, { __index = s })
  local object = reg.store:put_if(reg.layout.upload_record(s.repo, s.id), encode(new), s.version)
  for name, value in pairs(changes) do s[name] = value end
  s.version = object.etag
end

local function part_key(reg, s, n)
  return reg.layout.upload_part(s.repo, s.id, n)
end

function M.start(reg, repo, id)
  local s = { repo = repo, id = id, sums = SUMS, version = "", parts = {}, state = BEGINNING,
    epoch = 0 }
  save(reg, s, {})
end

function M.load(reg, repo, id)
  local key = reg.layout.upload_record(repo, id)
  local text, object = reg.store:read(key, RECORD_MAX)
  if not text then return nil end
  local doc = gate.try(gate.json.decode, text)
  local sums = reg.layout.sums or SUMS
  local parts, size = nil, nil
  if type(doc) == "table" then
    format.check(doc, RECORD_FORMAT, key)
    parts, size = read_parts(doc.chunks, sums)
  end
  if not parts then
    gate.log.warn("damaged record of an upload", { key = key })
    return nil
  end
  return { repo = repo, id = id, size = size, sums = sums, version = object.etag, parts = parts,
    state = read_state(doc.hash_state, size), epoch = is_count(doc.epoch) and doc.epoch or 0 }
end

-- The record first: nothing is appended to what has none. Its parts go with what is left.
function M.remove(reg, s)
  reg.store:remove(reg.layout.upload_record(s.repo, s.id))
  reg.store:remove_prefix(reg.layout.upload(s.repo, s.id))
end

-- What has no record is not gone on with: so its end is one `expire` of that, which whoever appends
-- writes. A body that takes longer than a session may be idle finds none.
function M.expire(reg, repo, id, before)
  local key, prefix = reg.layout.upload_record(repo, id), reg.layout.upload(repo, id)
  local s, later = gate.try(M.load, reg, repo, id)
  if later then return nil end
  local is_over = reg.store:expire(key, before)
    or not reg.store:stat(key) and not sessions.is_young(reg, prefix, before)
  if not is_over then return nil end
  reg.store:remove_prefix(prefix)
  return s and s.size or 0
end

function M.is_emptied()
  return false
end

-- A part's bytes, from an offset on.
local function open(reg, s, n, offset)
  local part = reg.store:open(part_key(reg, s, n), offset and { offset = offset } or nil)
  return part or sessions.unknown(s.id)
end

-- Hashes the parts from the first byte on: the digests and the states behind the last byte.
local function hash_all(reg, s, hashes)
  local got = { states = nil }
  for n = 1, #s.parts do
    got = open(reg, s, n):into(nil, { hash = hashes, states = got.states })
  end
  return got
end

-- The state behind the last byte; made again where the record has none that can be read.
local function state_of(reg, s)
  if not s.state then s.state = hash_all(reg, s, { "sha256" }).states.sha256 end
  return s.state
end

-- The part's last checksum that is known: the layout names the fastest one last.
local function sum_of(s, part)
  for i = #s.sums, 1, -1 do
    if part[s.sums[i]] then return s.sums[i] end
  end
  return nil
end

-- Is the part as the record says?
local function is_whole(reg, s, n)
  local part = s.parts[n]
  local sum = sum_of(s, part)
  local got = open(reg, s, n):into(nil, { hash = sum and { sum } or nil })
  if got.size == part.size and (not sum or got[sum] == part[sum]) then return true end
  gate.log.warn("damaged part of an upload", { upload = s.id, part = n, size = got.size })
  return false
end

-- Gives a part its name. See the top of this file. Others who have read an earlier record, and so
-- lose, may still put theirs there, whenever the place is free; each does so once.
local function name_part(reg, s, sink)
  local key, e = part_key(reg, s, #s.parts + 1), nil
  for _ = 1, TRIES do
    local ok
    ok, e = gate.try(sink.commit, sink, key, { if_absent = true })
    if ok then return end
    if e.name ~= "EXISTS" then break end
    local left = reg.store:stat(key)
    save(reg, s, { epoch = s.epoch + 1 })
    if left then reg.store:expire(key, left.modified + TICK) end
  end
  error(e, 0)
end

function M.append(reg, s, body, limit)
  if #s.parts == PARTS_MAX then
    gate.fail(413, "SIZE_INVALID", "an upload has at most 10000 parts", { size = s.size })
  end
  local sink = reg.store:create()
  local hashes = { "sha256", unpack(s.sums) }
  local got = body:into(sink, { hash = hashes, states = { sha256 = state_of(reg, s) },
    limit = limit })
  if got.size == 0 then return got end
  local part = { size = got.size }
  for _, sum in ipairs(s.sums) do part[sum] = got[sum] end
  local ok, e = gate.try(function()
    name_part(reg, s, sink)
    local parts = {}
    for i, one in ipairs(s.parts) do parts[i] = one end
    parts[#parts + 1] = part
    save(reg, s, { parts = parts, size = s.size + got.size, state = got.states.sha256 })
    return true
  end)
  if ok then return got end
  if not reg.store:stat(reg.layout.upload_record(s.repo, s.id)) then M.remove(reg, s) end
  error(e, 0)
end

-- What is there is what was hashed as it came, if every part still has its checksum. Else what is
-- there decides.
function M.digests(reg, s, algorithm, got)
  local n = #s.parts
  if n == 0 then
    return { sha256 = gate.hash("sha256", ""), sha512 = gate.hash("sha512", "") }
  end
  local is_known = s.state and algorithm == "sha256"
  for i = 1, got and got.size > 0 and n - 1 or n do
    is_known = is_known and is_whole(reg, s, i)
  end
  if not is_known then
    return hash_all(reg, s, algorithm == "sha256" and { "sha256" } or { "sha256", "sha512" })
  end
  if got and got.size > 0 then return got end
  return open(reg, s, n, s.parts[n].size):into(nil, { states = { sha256 = s.state } })
end

-- Joins objects, however many.
local function join(reg, s, keys, to)
  local joined = {}
  for i = 1, #keys, CONCAT_MAX do
    local some = { unpack(keys, i, math.min(i + CONCAT_MAX - 1, #keys)) }
    joined[#joined + 1] = #keys <= CONCAT_MAX and to
      or ("%sjoined-%d"):format(reg.layout.upload(s.repo, s.id), i)
    reg.store:concat(some, joined[#joined])
  end
  if #joined > 1 then reg.store:concat(joined, to) end
end

function M.place(reg, s, key)
  local n = #s.parts
  if n == 0 then
    reg.store:put(key, "")
  elseif n == 1 then
    reg.store:move(part_key(reg, s, 1), key, { size = s.size })
  else
    local keys = {}
    for i = 1, n do keys[i] = part_key(reg, s, i) end
    join(reg, s, keys, key)
  end
end

return M
