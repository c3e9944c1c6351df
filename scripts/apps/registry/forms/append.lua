-- SPDX-License-Identifier: Apache-2.0
--
-- Upload sessions in the form "append", the distribution registry's own: `startedat`, one growing
-- `data`, and beside it states of the running SHA-256, named by the offset they stand behind. The
-- bytes that `data` holds are the only truth about how far an upload has come; a state is written
-- after the bytes it covers are durable, and one that is missing (the client left in the middle of
-- a body) is made again from the nearest earlier one. So any gateway, or the other registry, can
-- go on with any session.
--
-- An idle session is ended by one `expire` of `startedat`: it is gone if that removes it, and the
-- rest is removed then. Whoever appends to a session or ends it touches that object first, unless
-- it is younger than RENEW_S, and goes on only if it was there. So of the two exactly one happens.
-- A touch holds for as long as the option says, two minutes at least; a body that comes for longer
-- than that shows in the time of `data`, which is looked at first. The other registry touches
-- nothing: a session that it goes on with is lost if that happens in the moment in which it would
-- have ended.
--
-- A session for a SHA-512 digest keeps the states of both: what it holds is stored by its SHA-256.
-- An empty state at offset 0 says that it is one.
--
-- forms/init.lua says what each function is for.
local gate = require "tidegate"
local sessions = require "apps.registry.sessions"

local STATE_SIZES = { sha256 = 108, sha512 = 204 } -- bytes: what Go marshals
local STATE_FORMS = { sha256 = "sha\3", sha512 = "sha\7" } -- the first four of them
local STATE_MAX = 256
local STARTED_MAX = 256 -- bytes; the other registry's time has 20, as ours
local RENEW_S = 30
local SHORT, BOTH = { "sha256" }, { "sha256", "sha512" }

local M = {}

local function state_key(reg, s, algorithm, offset)
  return ("%s%d"):format(reg.layout.upload_states(s.repo, s.id, algorithm), offset)
end

function M.start(reg, repo, id, algorithm)
  if algorithm ~= "sha256" then
    reg.store:put(state_key(reg, { repo = repo, id = id }, algorithm, 0), "")
  end
  local started = os.date("!%Y-%m-%dT%H:%M:%SZ")
  reg.store:put(reg.layout.upload_started(repo, id), started)
  return started
end

-- The algorithms whose states the session keeps.
local function algorithms(reg, s)
  return reg.store:stat(state_key(reg, s, "sha512", 0)) and BOTH or SHORT
end

function M.load(reg, repo, id)
  local started, object = reg.store:read(reg.layout.upload_started(repo, id), STARTED_MAX)
  if not started then return nil end
  local data = reg.store:stat(reg.layout.upload_data(repo, id))
  return { repo = repo, id = id, size = data and data.size or 0, started = started,
    touched = object.modified }
end

function M.keep(reg, s)
  return gate.now() - s.touched < RENEW_S
    or reg.store:touch(reg.layout.upload_started(s.repo, s.id))
end

function M.expire(reg, repo, id, before)
  local started = reg.layout.upload_started(repo, id)
  local data = reg.store:stat(reg.layout.upload_data(repo, id))
  if data and data.modified >= before then return nil end
  if not reg.store:expire(started, before) then
    -- in use, or what is left of one whose end was cut off, which nobody can go on with
    local prefix = reg.layout.upload(repo, id)
    if reg.store:stat(started) or sessions.is_young(reg, prefix, before) then return nil end
  end
  M.remove(reg, { repo = repo, id = id })
  return data and data.size or 0
end

function M.remove(reg, s)
  reg.store:remove_prefix(reg.layout.upload(s.repo, s.id))
end

-- The states behind this many bytes, by algorithm; nil unless all of them are there, in a form that
-- is known.
local function read_states(reg, s, hashes, offset)
  local states = {}
  for _, algorithm in ipairs(hashes) do
    local state = reg.store:read(state_key(reg, s, algorithm, offset), STATE_MAX)
    if not state or #state ~= STATE_SIZES[algorithm]
      or state:sub(1, 4) ~= STATE_FORMS[algorithm] then
      return nil
    end
    states[algorithm] = state
  end
  return states
end

-- The greatest offset up to the size that all states were saved for, and those; or 0.
local function saved(reg, s, hashes)
  local prefix = reg.layout.upload_states(s.repo, s.id, hashes[#hashes])
  local offsets, after = {}, nil
  repeat
    local page, more = reg.store:list(prefix, { after = after })
    for _, entry in ipairs(page) do
      local offset = tonumber(entry.name:match("/(%d+)$"))
      if offset and offset <= s.size and offset > 0 then offsets[#offsets + 1] = offset end
      after = entry.name
    end
  until not more
  table.sort(offsets)
  for i = #offsets, 1, -1 do
    local states = read_states(reg, s, hashes, offsets[i])
    if states then return offsets[i], states end
  end
  return 0, nil
end

-- Its bytes are moved away first.
function M.is_emptied(reg, s)
  local states = reg.layout.upload_states(s.repo, s.id, "sha256")
  return s.size == 0 and #reg.store:list(states, { limit = 1 }) > 0
end

-- The session's bytes from an offset on; not those that came since it was loaded.
local function open(reg, s, offset)
  return reg.store:open(reg.layout.upload_data(s.repo, s.id),
    { offset = offset, size = s.size - offset }) or sessions.unknown(s.id)
end

-- Hashes what the states do not cover: the digests and the states behind the last byte.
local function catch_up(reg, s, hashes)
  local offset, states = saved(reg, s, hashes)
  return open(reg, s, offset):into(nil, { hash = hashes, states = states })
end

-- What came before a failure stays, as the size of `data`, and no state says so.
function M.append(reg, s, body, limit)
  local hashes = algorithms(reg, s)
  local states = s.size > 0
    and (read_states(reg, s, hashes, s.size) or catch_up(reg, s, hashes).states) or nil
  local sink = reg.store:append(reg.layout.upload_data(s.repo, s.id), s.size)
  local got = body:into(sink, { hash = hashes, states = states, limit = limit })
  s.size = s.size + got.size
  for _, algorithm in ipairs(hashes) do
    reg.store:put(state_key(reg, s, algorithm, s.size), got.states[algorithm])
  end
  return got
end

function M.digests(reg, s, algorithm, got)
  if s.size == 0 then
    return { sha256 = gate.hash("sha256", ""), sha512 = gate.hash("sha512", "") }
  end
  if got and got[algorithm] then return got end
  return catch_up(reg, s, algorithm == "sha256" and SHORT or BOTH)
end

-- RANGE or BUSY when somebody has appended, or appends, behind the bytes that were hashed: they
-- must not come under this name.
function M.place(reg, s, key)
  if s.size == 0 then
    reg.store:put(key, "")
  else
    reg.store:move(reg.layout.upload_data(s.repo, s.id), key, { size = s.size })
  end
end

return M
