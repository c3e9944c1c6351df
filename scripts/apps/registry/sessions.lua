-- SPDX-License-Identifier: Apache-2.0
--
-- Upload sessions, as far as they are the same in every form: whose they are, and their end. What
-- they are in the store is a matter of reg.sessions (forms/append.lua, forms/parts.lua).
local blobs = require "apps.registry.blobs"
local gate = require "tidegate"

local M = {}

-- A session belongs to whoever began it. Its id says so: the last 12 digits are a hash of the
-- others, which are random, and of the user's name, so nothing has to be stored and no key kept. In
-- a layout whose sessions do not lie below their repository, the hash is of that one's name, too.
-- The version of such a UUID is 8; of one that another registry began, 4, and everybody may go on
-- with it who may push.
local function owned(reg, front, repo, user)
  local upload = reg.layout.upload
  local is_shared = upload("a/a", "0") == upload("a/b", "0")
  local owner = is_shared and repo .. ":" .. user or user
  return front .. gate.hash("sha256", front .. owner):sub(1, 12)
end

local function is_of(reg, uuid, repo, user)
  return uuid:sub(15, 15) ~= "8" or uuid == owned(reg, uuid:sub(1, 24), repo, user)
end

-- Layouts may write UUIDs in their own way.
local function written(reg, uuid)
  return reg.layout.session_id and reg.layout.session_id(uuid) or uuid
end

-- The UUID that an id stands for, or nil.
local function uuid_of(reg, id)
  local hex = id:gsub("-", "")
  if #hex ~= 32 or not hex:find("^[0-9a-f]+$") then return nil end
  local uuid = ("%s-%s-%s-%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 16),
    hex:sub(17, 20), hex:sub(21))
  return written(reg, uuid) == id and uuid or nil
end

-- A new id for a session of the user with this name.
function M.name(reg, repo, user)
  local random = gate.uuid()
  return written(reg, owned(reg, random:sub(1, 14) .. "8" .. random:sub(16, 24), repo, user))
end

-- The session { repo, id, user, size, … }, or nil, also when it is somebody else's.
function M.load(reg, repo, id, user)
  local uuid = uuid_of(reg, id)
  local s = uuid and is_of(reg, uuid, repo, user) and reg.sessions.load(reg, repo, id) or nil
  if s then s.user = user end
  return s
end

function M.unknown(id)
  gate.fail(404, "BLOB_UPLOAD_UNKNOWN", "no such upload in this repository", { id = id })
end

-- Whether something below the prefix is as young; of many objects only some are asked.
function M.is_young(reg, prefix, before)
  for _, entry in ipairs((reg.store:list(prefix))) do
    if entry.modified >= before then return true end
  end
  return false
end

-- Gives the content its name and makes it the repository's, in this order: nothing ever points at
-- nothing. Content that is there already is replaced by the same bytes, just verified, which also
-- mends a damaged blob. Two that commit the same content both succeed.
function M.commit(reg, s, digest, target)
  reg.sessions.place(reg, s, reg.layout.blob(target, s.repo))
  blobs.own(reg, s.repo, digest, target)
  reg.sessions.remove(reg, s)
  return true
end

return M
