-- SPDX-License-Identifier: Apache-2.0
--
-- The requests of the distribution-spec's conformance suite: header by header what its client
-- sends, and all that it looks at in the answers. Every function is one case of the suite and
-- fails where the suite would.
local assert = require "luassert"
local pusher = require "spec.pusher"

local CHUNK = 1024 -- bytes; the suite's, as long as no registry asks for more
local OCTETS = "application/octet-stream"

local M = {}

local client = {}
client.__index = client

-- For a repository, by way of an agent.
function M.new(agent, repo)
  return setmetatable({ agent = agent, repo = repo, base = "/v2/" .. repo }, client)
end

function client:ask(expected, method, path, options)
  local reply = self.agent:request(method, path, options)
  local fits = false
  for _, status in ipairs(type(expected) == "table" and expected or { expected }) do
    fits = fits or reply.status == status
  end
  assert(fits, ("%s %s: %d %s"):format(method, path, reply.status, reply.body))
  return reply
end

local function is_named(reply, digest)
  assert.equal(digest, reply.header("docker-content-digest"))
end

-- The Location of a 201 gives the bytes.
function client:follow(reply, text, headers)
  local path = assert(reply.header("location") and pusher.place(reply), "a 201 has a Location")
  local got = self:ask(200, "GET", path, { headers = headers })
  assert.is_true(got.body == text, "the Location gives other bytes")
  return got
end

function client:is_pushed(reply, blob)
  is_named(reply, blob.digest)
  self:follow(reply, blob.text)
end

function client:session(query)
  local reply = self:ask(202, "POST", self.base .. "/blobs/uploads/" .. (query or ""))
  return pusher.place(reply), reply
end

local function octets(text, range)
  return { body = text, headers = { ["Content-Type"] = OCTETS, ["Content-Range"] = range } }
end

-- A blob as a whole. An empty one is a body all the same, so it goes without a Content-Length.
local function whole(text)
  if text ~= "" then return octets(text) end
  return { chunked = {}, headers = { ["Content-Type"] = OCTETS } }
end

-- The suite escapes the digest as Go's url.Values do.
local function closing(place, digest)
  return (pusher.closing(place, digest):gsub("(digest=%w+):", "%1%%3A"))
end

-- blob-post-put. `bad`: the digest is another's.
function client:post_put(blob, bad)
  local reply = self:ask(bad and 400 or 201, "PUT", closing(self:session(), blob.digest),
    whole(blob.text))
  if not bad then self:is_pushed(reply, blob) end
end

-- blob-post-only
function client:post_only(blob, bad)
  local path = closing(self.base .. "/blobs/uploads/", blob.digest)
  local reply = self:ask(bad and 400 or 201, "POST", path, whole(blob.text))
  if not bad then self:is_pushed(reply, blob) end
end

-- blob-patch-stream
function client:stream(blob, bad)
  local place = self:session()
  local reply = self:ask(202, "PATCH", place, {
    chunked = { blob.text ~= "" and blob.text or nil }, headers = { ["Content-Type"] = OCTETS },
  })
  reply = self:ask(bad and 400 or 201, "PUT", closing(pusher.place(reply), blob.digest), octets(""))
  if not bad then self:is_pushed(reply, blob) end
end

-- A chunk that does not belong here: 416, and then where the upload stands.
function client:misplace(place, blob, done, put_last)
  local size = math.min(CHUNK, #blob.text)
  local first = done + size
  if first >= #blob.text then first = 0 end
  local last = math.min(first + size, #blob.text) - 1
  local method, path = "PATCH", place
  if put_last and last == #blob.text - 1 then
    method, path = "PUT", closing(place, blob.digest)
  end
  self:ask(416, method, path,
    octets(blob.text:sub(first + 1, last + 1), ("%d-%d"):format(first, last)))
  local reply = self:ask(204, "GET", path)
  local at = assert(reply.header("range"):match("^0%-(%d+)$"), "no range: 0-N")
  if done > 0 then assert.equal(done - 1, tonumber(at)) end
  return pusher.place(reply)
end

-- blob-patch-chunked. `o`: put_last, out_of_order, bad
function client:chunked(blob, o)
  local place = self:session()
  local done = 0
  while done < #blob.text do
    if o.out_of_order then place = self:misplace(place, blob, done, o.put_last) end
    local text = blob.text:sub(done + 1, done + CHUNK)
    local range = ("%d-%d"):format(done, done + #text - 1)
    done = done + #text
    if o.put_last and done == #blob.text then
      local reply = self:ask(o.bad and 400 or 201, "PUT", closing(place, blob.digest),
        octets(text, range))
      return o.bad or self:is_pushed(reply, blob)
    end
    local reply = self:ask(202, "PATCH", place, octets(text, range))
    assert.equal("0-" .. done - 1, reply.header("range"))
    place = pusher.place(reply)
  end
  local reply = self:ask(o.bad and 400 or 201, "PUT", closing(place, blob.digest), octets(""))
  return o.bad or self:is_pushed(reply, blob)
end

-- blob-mount; `from` may be nil. Returns whether it was mounted; otherwise it is uploaded.
function client:mount(blob, from)
  local path = ("%s/blobs/uploads/?%smount=%s"):format(self.base,
    from and "from=" .. from:gsub("/", "%%2F") .. "&" or "", blob.digest:gsub(":", "%%3A"))
  local reply = self:ask({ 201, 202 }, "POST", path)
  local mounted = reply.status == 201
  if not mounted then
    reply = self:ask(201, "PUT", closing(pusher.place(reply), blob.digest), whole(blob.text))
  end
  self:is_pushed(reply, blob)
  return mounted
end

-- blob-post-cancel
function client:cancel()
  local place = self:session()
  self:ask(204, "DELETE", place)
  self:ask(404, "GET", place)
end

function client:blob_path(blob) return self.base .. "/blobs/" .. blob.digest end

-- blob-head
function client:head_blob(blob)
  local reply = self:ask(200, "HEAD", self:blob_path(blob))
  assert.equal(tostring(#blob.text), reply.header("content-length"))
  is_named(reply, blob.digest)
end

-- blob-get
function client:get_blob(blob)
  local reply = self:ask(200, "GET", self:blob_path(blob))
  assert.is_true(reply.body == blob.text)
  assert.equal(tostring(#blob.text), reply.header("content-length"))
  is_named(reply, blob.digest)
end

-- blob-delete, in effect at once
function client:delete_blob(blob)
  self:ask({ 202, 404 }, "DELETE", self:blob_path(blob))
  self:ask(404, "HEAD", self:blob_path(blob))
end

-- A range of the blob: what is sent back, or 416 when `first` is nil.
function client:range(blob, value, first, last)
  local reply = self:ask(first and 206 or 416, "GET", self:blob_path(blob),
    { headers = { Range = "bytes=" .. value } })
  if not first then return end
  assert.equal(blob.text:sub(first + 1, last + 1), reply.body)
  assert.equal(tostring(last - first + 1), reply.header("content-length"))
  assert.equal(("bytes %d-%d/%d"):format(first, last, #blob.text), reply.header("content-range"))
end

local ACCEPT = { Accept = { pusher.INDEX, pusher.IMAGE } }

local function is_manifest(reply, m)
  assert.equal(m.type, reply.header("content-type"))
  assert.equal(tostring(#m.text), reply.header("content-length"))
  is_named(reply, m.digest)
end

function client:manifest_path(ref) return self.base .. "/manifests/" .. ref end

-- manifest-by-digest, manifest-by-tag of a push
function client:put_manifest(m, ref, bad)
  local query = ref == m.digest and m.tags and "?tag=" .. table.concat(m.tags, "&tag=") or ""
  local reply = self:ask(bad and 400 or 201, "PUT", self:manifest_path(ref) .. query,
    { chunked = { m.text }, headers = { ["Content-Type"] = m.type } })
  if bad then return end
  is_named(reply, m.digest)
  assert.equal(m.subject, reply.header("oci-subject"))
  assert.equal(query ~= "" and table.concat(m.tags, ", ") or nil, reply.header("oci-tag"))
  is_manifest(self:follow(reply, m.text, ACCEPT), m)
end

-- manifest-head-by-digest, manifest-head-by-tag
function client:head_manifest(m, ref)
  is_manifest(self:ask(200, "HEAD", self:manifest_path(ref), { headers = ACCEPT }), m)
end

-- manifest-by-digest, manifest-by-tag of a pull
function client:get_manifest(m, ref)
  local reply = self:ask(200, "GET", self:manifest_path(ref), { headers = ACCEPT })
  assert.is_true(reply.body == m.text)
  is_manifest(reply, m)
end

-- manifest-delete, tag-delete, in effect at once
function client:delete_manifest(ref)
  self:ask({ 202, 404 }, "DELETE", self:manifest_path(ref))
  self:ask(404, "HEAD", self:manifest_path(ref), { headers = ACCEPT })
end

-- The names of a tag list; {} of an unknown repository.
function client:tags(query)
  local reply = self:ask({ 200, 404 }, "GET", self.base .. "/tags/list" .. (query or ""))
  return reply.status == 200 and pusher.decode(reply.body).tags or {}
end

-- The descriptors of a list of referrers, and whether it was filtered.
function client:referrers(digest, kind)
  local query = kind and "?artifactType=" .. kind:gsub("/", "%%2F"):gsub("+", "%%2B") or ""
  local reply = self:ask(200, "GET", self.base .. "/referrers/" .. digest .. query)
  local doc = pusher.decode(reply.body)
  assert.equal(pusher.INDEX, reply.header("content-type"))
  assert.equal(pusher.INDEX, doc.mediaType)
  assert.equal(2, doc.schemaVersion)
  return doc.manifests, reply.header("oci-filters-applied")
end

return M
