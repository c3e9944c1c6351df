-- SPDX-License-Identifier: Apache-2.0
--
-- Does a gateway that was killed and started again still have all that was acknowledged, and
-- nothing half? The journals of spec/torture/push.lua say what was promised.
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local ROOT = "docker/registry/v2/"

local M = {}

-- What the journal says: a list of { fields, done }, in their order, and the faults.
function M.journal(path)
  local changes, faults = {}, {}
  for line in (tool.read(path) or ""):gmatch("([^\n]*)\n") do
    local fields = line:match("^begin (.*)$")
    if fields then
      local change = { done = false }
      for word in fields:gmatch("%S+") do change[#change + 1] = tonumber(word) or word end
      changes[#changes + 1] = change
    elseif line == "done" then
      changes[#changes].done = true
    else
      faults[#faults + 1] = line
    end
  end
  return changes, faults
end

local function check_blob(g, repo, text)
  local reply = g:request("GET", ("/v2/%s/blobs/%s"):format(repo, tool.digest(text)))
  assert(reply.status == 200, "an acknowledged blob is there")
  assert(reply.body == text, "an acknowledged blob is whole")
end

-- The tag names one of these manifests, or nothing where `absent` is right, too; and what it
-- names has all its blobs.
local function check_tag(g, repo, tag, digests, absent)
  local reply = g:request("GET", ("/v2/%s/manifests/%s"):format(repo, tag))
  if reply.status == 404 and absent then return end
  assert(reply.status == 200, "an acknowledged tag is there")
  assert(digests[tool.digest(reply.body)], "a tag names what was put last")
  local doc = json.decode(reply.body)
  for _, d in ipairs { doc.config, unpack(doc.layers) } do
    local blob = g:request("GET", ("/v2/%s/blobs/%s"):format(repo, d.digest))
    assert(blob.status == 200 and tool.digest(blob.body) == d.digest, "a manifest's blob is whole")
  end
end

local function check_tags(g, changes)
  local tags = {}
  for _, c in ipairs(changes) do
    local kind, repo, tag, digest = unpack(c)
    if kind == "tag" then
      local key = repo .. ":" .. tag
      local t = c.done and { digests = {} } or tags[key] or { digests = {}, absent = true }
      t.repo, t.tag = repo, tag
      if digest == "-" then t.absent = true else t.digests[digest] = true end
      tags[key] = t
    end
  end
  for _, t in pairs(tags) do check_tag(g, t.repo, t.tag, t.digests, t.absent) end
end

-- Sends what is behind `from`; returns nothing when it is taken, else where the upload stands.
local function send_rest(g, place, text, from)
  if from == #text then return end
  local reply = g:request("PATCH", place, {
    body = text:sub(from + 1),
    headers = { ["Content-Range"] = ("%d-%d"):format(from, #text - 1) },
  })
  if reply.status == 202 then return end
  assert(reply.status == 416, "the rest of an upload is taken")
  local _, detail = pusher.code(reply)
  return detail.size
end

-- Goes on with an upload where the gateway says it stands, as a client would. A session that
-- was being closed may be gone, or its bytes may have moved to the blob already.
local function resume(g, place, s, text)
  local reply = g:request("GET", place)
  if reply.status == 404 and s.closing then return end
  assert(reply.status == 204, "an upload with acknowledged bytes can be resumed")
  local size = tonumber(reply.header("range"):match("^0%-(%d+)$"))
  size = size > 0 and size + 1 or 0 -- "0-0" may mean one byte, too; then the gateway says so
  local truth = send_rest(g, place, text, size)
  if truth then
    size = truth
    assert(not send_rest(g, place, text, size), "the rest of an upload is taken")
  end
  assert(size <= s.most and (size >= s.least or s.closing), "no acknowledged byte is lost")
  reply = g:request("PUT", pusher.closing(place, tool.digest(text)))
  assert(reply.status == 201, "the bytes of an upload are those that were sent")
  check_blob(g, s.repo, text)
end

-- Everything that these changes promise.
function M.promises(g, changes)
  local open = {}
  for _, c in ipairs(changes) do
    local kind, repo = c[1], c[2]
    if kind == "blob" and c.done then
      check_blob(g, repo, tool.bytes(c[4], c[3]))
    elseif kind == "data" or kind == "close" then
      local s = open[c[3]] or { repo = repo, seed = c[4], size = c[5], least = 0 }
      s.most, s.least = c[7], c.done and c[7] or s.least
      s.closing = kind == "close"
      s.closed = s.closing and c.done
      open[c[3]] = s
    end
  end
  for place, s in pairs(open) do
    local text = tool.bytes(s.size, s.seed)
    if s.closed then
      check_blob(g, s.repo, text)
    else
      resume(g, place, s, text)
    end
  end
  check_tags(g, changes)
end

-- What kind of file it is in the layout, and whether it is as it has to be.
local function check_file(folder, path, known)
  local hex = path:match("/blobs/sha256/%x%x/(%x+)/data$")
  local where = folder .. "/" .. path
  if hex then
    if not known[hex] then assert(tool.sha256(tool.read(where)) == hex, "a blob is whole") end
    known[hex] = true
  elseif path:find("/link$") then
    local text = tool.read(where)
    hex = text:match("^sha256:(%x+)$")
    assert(hex and #hex == 64, "a link is whole")
    local target = ("%s/%sblobs/sha256/%s/%s/data"):format(folder, ROOT, hex:sub(1, 2), hex)
    assert(known[hex] or tool.read(target), "a link points at something")
  elseif path:find("/hashstates/") then
    assert(#tool.read(where) == 108, "a hash state is whole")
  end
end

-- The tree on the disk: nothing half, nothing left over. `known` remembers blobs that were seen.
function M.tree(folder, known)
  for _, path in ipairs(tool.files(folder)) do
    if path:find("^%.tidegate/tmp/") then
      assert(path:find("/lock$"), "temporary files are swept")
    else
      assert(not path:find("^%.tidegate/aside/"), "nothing stays aside")
      check_file(folder, path, known)
    end
  end
end

return M
