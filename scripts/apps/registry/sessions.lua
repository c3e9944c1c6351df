-- SPDX-License-Identifier: Apache-2.0
--
-- Upload sessions in the store, in the distribution registry's own form: `startedat`, one growing
-- `data`, and beside it states of the running SHA-256, named by the offset they stand behind. The
-- bytes that `data` holds are the only truth about how far an upload has come; a state is written
-- after the bytes it covers are durable, and one that is missing (the client left in the middle of
-- a body) is made again from the nearest earlier one. So any gateway, or the other registry, can
-- go on with any session.
local gate = require "tidegate"
local links = require "apps.registry.links"

local STATE_SIZE = 108 -- bytes: Go's marshalled SHA-256
local STATE_MAX = 256

local M = {}

-- A new session; returns its id.
function M.start(reg, repo)
  local id = gate.uuid()
  reg.store:put(reg.layout.upload_started(repo, id), os.date("!%Y-%m-%dT%H:%M:%SZ"))
  return id
end

-- The session { repo, id, size }, or nil.
function M.load(reg, repo, id)
  if #id ~= 36 or not id:find("^[0-9a-f-]+$") then return nil end
  if not reg.store:stat(reg.layout.upload_started(repo, id)) then return nil end
  local data = reg.store:stat(reg.layout.upload_data(repo, id))
  return { repo = repo, id = id, size = data and data.size or 0 }
end

function M.remove(reg, s)
  reg.store:remove_prefix(reg.layout.upload(s.repo, s.id))
end

-- The greatest offset up to the size that a state was saved for, or 0.
local function saved_offset(reg, s)
  local prefix = reg.layout.upload_states(s.repo, s.id, "sha256")
  local best, after = 0, nil
  repeat
    local page, more = reg.store:list(prefix, { after = after })
    for _, entry in ipairs(page) do
      local offset = tonumber(entry.name:match("/(%d+)$"))
      if offset and offset <= s.size and offset > best and entry.size == STATE_SIZE then
        best = offset
      end
      after = entry.name
    end
  until not more
  return best
end

local function read_state(reg, s, offset)
  if offset == 0 then return nil end
  local key = ("%s%d"):format(reg.layout.upload_states(s.repo, s.id, "sha256"), offset)
  local state = reg.store:read(key, STATE_MAX)
  return state and #state == STATE_SIZE and { sha256 = state } or nil
end

-- The session's bytes from an offset on; not those that came since it was loaded.
local function open(reg, s, offset)
  return reg.store:open(reg.layout.upload_data(s.repo, s.id),
    { offset = offset, size = s.size - offset })
end

-- Hashes what the states do not cover: the digest and the states behind the last byte.
local function catch_up(reg, s)
  local offset = saved_offset(reg, s)
  local data = open(reg, s, offset)
  return data:into(nil, { states = read_state(reg, s, offset) })
end

-- Moves the body behind what is there; returns what `into` does. It fails as `append` and `into`
-- do: what came before the failure stays, as the size of `data`, and no state says so.
function M.append(reg, s, body, limit)
  local states = read_state(reg, s, s.size)
  if not states and s.size > 0 then states = catch_up(reg, s).states end
  local sink = reg.store:append(reg.layout.upload_data(s.repo, s.id), s.size)
  local got = body:into(sink, { states = states, limit = limit })
  s.size = s.size + got.size
  local key = ("%s%d"):format(reg.layout.upload_states(s.repo, s.id, "sha256"), s.size)
  reg.store:put(key, got.states.sha256)
  return got
end

-- The SHA-256 of the whole content, and its SHA-512 if the algorithm asks for it; hex. `got` is
-- the result of an append just done, if there was one.
function M.digests(reg, s, algorithm, got)
  if s.size == 0 then
    return { sha256 = gate.hash("sha256", ""), sha512 = gate.hash("sha512", "") }
  end
  if algorithm == "sha256" then return got or catch_up(reg, s) end
  local data = open(reg, s, 0)
  return data:into(nil, { hash = { "sha256", "sha512" } })
end

-- Gives the content its name and the repository its link, in this order: a link never points at
-- nothing. Content that is there already is replaced by the same bytes, just verified, which also
-- mends a damaged blob. Two that commit the same content both succeed. RANGE or BUSY when somebody
-- has appended, or appends, behind the bytes that were hashed: they must not come under this name.
function M.commit(reg, s, digest, target)
  local blob = reg.layout.blob(target)
  if s.size == 0 then
    reg.store:put(blob, "")
  else
    reg.store:move(reg.layout.upload_data(s.repo, s.id), blob, { size = s.size })
  end
  links.write(reg, reg.layout.layer, s.repo, digest, target)
  M.remove(reg, s)
  return true
end

return M
