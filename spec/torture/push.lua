-- SPDX-License-Identifier: Apache-2.0
--
-- A client that pushes without end, in a process of its own, and notes in a journal what it is
-- about to do and what was acknowledged. Everything it pushes follows from a seed, so that the
-- journal need not hold it. It ends when the gateway does.
--
--   begin FIELDS   before a request that changes something      done    it was acknowledged
--   fault TEXT     an answer that no gateway may give
--
-- The fields of a change: "blob REPO SEED SIZE", "tag REPO TAG DIGEST" (DIGEST "-": deleted),
-- "data REPO PLACE SEED SIZE FROM TO" (bytes of an upload), "close" the same as "data".
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"
local unistd = require "posix.unistd"
local wire = require "spec.wire"

local SIZES = { 1, 700, 5000, 70000, 300000 } -- bytes of a blob, at most

local M = {}

local function expect(self, reply, status)
  if reply.status == status then return reply end
  self.journal:write(("fault %d instead of %d: %s\n"):format(reply.status, status, reply.body))
  error("fault")
end

-- f's request is a change; f returns its reply.
local function change(self, fields, status, f)
  self.journal:write("begin ", fields, "\n")
  local reply = expect(self, f(), status)
  self.journal:write("done\n")
  return reply
end

local function some_blob(self)
  -- a few are the same for all pushers
  local shared = math.random(4) == 1
  local seed = shared and math.random(20) or math.random(2 ^ 30)
  return seed, shared and 3000 or math.random(SIZES[math.random(#SIZES)]), self.repo
end

local function descriptor(text, media_type)
  return { mediaType = media_type, digest = tool.digest(text), size = #text }
end

-- The whole blob in one request, with a session or without.
local function push_whole(self)
  local seed, size, repo = some_blob(self)
  local text = tool.bytes(size, seed)
  local path, method = ("/v2/%s/blobs/uploads/"):format(repo), "POST"
  if math.random(2) == 1 then
    path, method = pusher.place(expect(self, self:request("POST", path), 202)), "PUT"
  end
  change(self, ("blob %s %d %d"):format(repo, seed, size), 201, function()
    return self:request(method, pusher.closing(path, tool.digest(text)), { body = text })
  end)
  return descriptor(text, pusher.LAYER)
end

-- The blob in pieces, each acknowledged.
local function push_pieces(self)
  local seed, size, repo = some_blob(self)
  local text = tool.bytes(size, seed)
  local path = ("/v2/%s/blobs/uploads/"):format(repo)
  local place, from = pusher.place(expect(self, self:request("POST", path), 202)), 0
  local function fields(kind, to)
    return ("%s %s %s %d %d %d %d"):format(kind, repo, place, seed, size, from, to)
  end
  while from < size do
    local to = math.min(size, from + math.random(math.ceil(size / 2)))
    change(self, fields("data", to), 202, function()
      return self:request("PATCH", place, { body = text:sub(from + 1, to) })
    end)
    from = to
  end
  change(self, fields("close", size), 201, function()
    return self:request("PUT", pusher.closing(place, tool.digest(text)))
  end)
  return descriptor(text, pusher.LAYER)
end

local function push_image(self)
  local layers = { push_whole(self), push_pieces(self) }
  local text = json.encode {
    schemaVersion = 2, mediaType = pusher.IMAGE, config = push_whole(self), layers = layers,
  }
  local tag = "v" .. math.random(3)
  change(self, ("tag %s %s %s"):format(self.repo, tag, tool.digest(text)), 201, function()
    return pusher.put_manifest(self, self.repo, tag, text)
  end)
  if math.random(4) > 1 then return end
  change(self, ("tag %s %s -"):format(self.repo, tag), 202, function()
    return self:request("DELETE", ("/v2/%s/manifests/%s"):format(self.repo, tag))
  end)
end

local function push(g, repo, seed, path)
  math.randomseed(seed)
  local self = { repo = repo, journal = assert(io.open(path, "w")) }
  self.journal:setvbuf("line")
  local c = wire.connect(g.host, tonumber(g.port))
  function self.request(_, ...) return c:request(...) end
  while true do push_image(self) end
end

-- Starts a pusher of that repository; returns its process id.
function M.start(g, repo, seed, path)
  local pid = assert(unistd.fork())
  if pid > 0 then return pid end
  pcall(push, g, repo, seed, path) -- the gateway's end is the pusher's
  unistd._exit(0)
end

return M
