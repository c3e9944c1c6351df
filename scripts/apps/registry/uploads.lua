-- SPDX-License-Identifier: Apache-2.0
--
-- Uploads: POST begins, PATCH appends, PUT ends, GET tells, DELETE cancels. Locations are
-- relative, so that they hold behind any proxy, and carry no state that we need, so that any
-- gateway of the same store can take the next request.
local access = require "apps.registry.access"
local blobs = require "apps.registry.blobs"
local gate = require "tidegate"
local names = require "apps.registry.names"
local quota = require "apps.registry.quota"
local reply = require "apps.registry.reply"
local sessions = require "apps.registry.sessions"

-- Ending an upload takes its gateway some milliseconds.
local ENDING_LOOKS, EMPTY_LOOKS, ENDING_WAIT = 50, 5, "20ms"

local M = {}

local uploads = gate.counter("registry_uploads_total", { labels = { "result" },
  help = "Uploads by what became of them; those finished by one POST have not begun." })

local function count(result)
  uploads:add(1, { result = result })
end

M.count = count

local function session_headers(reg, s)
  return {
    Location = ("%s/%s/blobs/uploads/%s%s"):format(reg.prefix, s.repo, s.id, reg.state_of(s)),
    -- of all bytes so far, inclusive; clients want "0-0" of none, too
    Range = ("0-%d"):format(math.max(s.size, 1) - 1),
    ["Docker-Upload-UUID"] = s.id,
  }
end

local function created(reg, repo, digest)
  return reply(201, nil, {
    Location = ("%s/%s/blobs/%s"):format(reg.prefix, repo, digest),
    ["Docker-Content-Digest"] = digest,
  })
end

local function find(reg, q)
  local id = q.params.id
  q:note { upload = id }
  local s = sessions.load(reg, q.repo, id, q.user.name)
  if s then return s end
  sessions.unknown(id)
end

-- The same of a session that is about to change: it does not end as an idle one meanwhile.
local function use(reg, q)
  local s = find(reg, q)
  if reg.sessions.keep and not reg.sessions.keep(reg, s) then sessions.unknown(s.id) end
  return s
end

local function remove(reg, q, s)
  reg.sessions.remove(reg, s)
  reg.limits:release(q, s.id)
end

-- The digest that ?digest= names; a session survives a bad one.
local function wanted(reg, q)
  local digest = q.query.digest
  local algorithm = digest and names.digest(digest)
  if reg.form.algorithms[algorithm] then
    q:note { digest = digest }
    return digest, algorithm
  end
  gate.fail(400, "DIGEST_INVALID", "a digest is needed", { digest = digest })
end

-- 416, with what the client needs to find its place again; 404 if the session is gone by now.
local function out_of_place(reg, q, s)
  local fresh = sessions.load(reg, s.repo, s.id, s.user) or sessions.unknown(s.id)
  q:note { code = "RANGE_INVALID" }
  gate.log.info("refused", { status = 416, size = fresh.size })
  local entry = { code = "RANGE_INVALID", message = "the upload goes on at another byte",
    detail = { size = fresh.size } }
  return reply(416, { errors = { entry } }, session_headers(reg, fresh))
end

-- Checks Content-Range ("a-b", inclusive) against the session. Returns false when the bytes do
-- not belong here, else true and how many were announced, if any were.
local function check_range(q, s)
  local text = q.headers["content-range"]
  if not text then return true end
  local first, last = text:match("^(%d+)-(%d+)$")
  if not first or #first > 15 or #last > 15 then return false end
  first, last = tonumber(first), tonumber(last)
  if first ~= s.size or last < first then return false end
  local n = last - first + 1
  if q.length and q.length ~= n then
    gate.fail(400, "SIZE_INVALID", "Content-Range and Content-Length differ",
      { range = text, length = q.length })
  end
  return true, n
end

-- Somebody else has appended or ended the upload, or does so now.
local function is_overtaken(e)
  return e.name == "RANGE" or e.name == "BUSY" or e.name == "EXISTS" or e.name == "NOT_FOUND"
    or e.name == "BLOB_UPLOAD_UNKNOWN"
end

-- What is left to say to a client that wanted to end an upload and was overtaken. Who has ended it
-- with the same digest, as a client does that has lost an answer and asks again, has done what this
-- one asked for; he is waited for. Otherwise it hears where the upload stands, or that it is gone.
-- nil when nobody was there: the session is an empty one. That shows only after some looks, since
-- one that is being removed loses its bytes and states before its name.
local function overtaken(reg, q, s, digest)
  for look = 1, ENDING_LOOKS do
    local fresh = sessions.load(reg, s.repo, s.id, s.user)
    if blobs.has(reg, s.repo, digest) then return created(reg, s.repo, digest) end
    if not fresh then sessions.unknown(s.id) end
    local is_ending = fresh.size == 0
      and (look <= EMPTY_LOOKS or reg.sessions.is_emptied(reg, fresh))
    if fresh.size == 0 and s.size == 0 and not is_ending then return nil end
    if fresh.size ~= s.size and not is_ending then break end
    gate.sleep(ENDING_WAIT)
  end
  return out_of_place(reg, q, s)
end

-- Appends the request's body. Returns what `into` gave, or nil when somebody else has appended
-- meanwhile, and the client has to look where the session stands.
local function append(reg, q, s, announced)
  local room = quota.room(reg, q, s.size)
  local is_cut = room and (announced or math.huge) > room
  local got, e = gate.try(reg.sessions.append, reg, s, q.body, is_cut and room or announced)
  if not got then
    if is_overtaken(e) then return nil end
    if is_cut and e.name == "TOO_LARGE" then
      reg.sessions.remove(reg, s) -- what came fills a store, and can never be finished
      quota.cut(reg, q)
    end
    count("interrupted")
    gate.log.info("upload broke off", { why = e.name, stored = e.stored })
    error(e, 0)
  end
  if announced and got.size ~= announced then
    gate.fail(400, "SIZE_INVALID", "the body is shorter than its Content-Range",
      { size = got.size })
  end
  return got
end

-- The body goes straight to its final name, and is there only if it is what the digest says.
-- Returns its size and its SHA-256 digest, or false when it is not.
local function stream_in(reg, q, digest, algorithm, room)
  local hashes = { "sha256" }
  local key = nil
  if algorithm == "sha256" then
    key = reg.layout.blob(digest, q.repo)
  else
    hashes[2] = algorithm
  end
  local sink = reg.store:create(key)
  local got, e = gate.try(q.body.into, q.body, sink,
    { hash = hashes, expect = digest, limit = room })
  if not got then
    if e.name == "MISMATCH" then return false end
    if room and e.name == "TOO_LARGE" then quota.cut(reg, q) end
    error(e, 0)
  end
  local target = "sha256:" .. got.sha256
  if not key then sink:commit(reg.layout.blob(target, q.repo)) end
  return got.size, target
end

-- The same, and the repository owns it: within its quota, which a body of known length is held
-- against before it is read, and any other while it is.
local function stream_blob(reg, q, repo, digest, algorithm)
  local owned = reg.quota and blobs.has(reg, repo, digest)
  local room = not q.length and not owned and quota.room(reg, q, 0) or nil
  local function stream()
    return stream_in(reg, q, digest, algorithm, room)
  end
  local function own(size, target)
    if size then blobs.own(reg, repo, digest, target) end
    return size
  end
  if q.length then
    return quota.keep(reg, q, q.length, owned, function() return own(stream()) end)
  end
  local size, target = stream()
  return size and quota.keep(reg, q, size, owned, function() return own(size, target) end)
end

local function mismatch(digest)
  count("failed")
  gate.fail(400, "DIGEST_INVALID", "the content has another digest", { digest = digest })
end

-- ?digest= at the POST: the whole blob in one request.
local function post_whole(reg, q)
  local digest, algorithm = wanted(reg, q)
  local size = 0
  if q.body then
    size = stream_blob(reg, q, q.repo, digest, algorithm) or mismatch(digest)
  elseif digest == algorithm .. ":" .. gate.hash(algorithm, "") then
    local target = "sha256:" .. gate.hash("sha256", "")
    reg.store:put(reg.layout.blob(target, q.repo), "")
    blobs.own(reg, q.repo, digest, target)
  else
    mismatch(digest)
  end
  gate.log.info("blob pushed", { repo = q.repo, digest = digest })
  count("finished")
  reg.emit(q, "blob.pushed", { digest = digest, size = size })
  return created(reg, q.repo, digest)
end

-- Makes the repository own a blob of another one; false if that is more than its quota.
local function own_within(reg, q, digest, target)
  local blob = reg.quota and reg.store:stat(reg.layout.blob(target, q.repo))
  local owned = blob and blobs.has(reg, q.repo, digest)
  local ok, e = gate.try(quota.keep, reg, q, blob and blob.size or 0, owned, function()
    blobs.own(reg, q.repo, digest, target)
    return true
  end)
  if not ok and (q.asks or e.name ~= "DENIED") then error(e, 0) end
  return ok
end

-- ?mount=&from=: owns the blob here if the user may read it there. Without a `from` the repository
-- is tried that has last been seen to own it. Whatever is wrong is no error: the client then gets
-- an ordinary session.
local function mount(reg, q)
  local digest, from = q.query.mount, q.query.from
  if not digest or not names.digest(digest) then return false end
  if from then from = reg.space.inner(from) else from = blobs.owner(reg, digest) end
  if not from or not names.is_repo(from) then return false end
  q.from = from
  q:note { digest = digest, from = from }
  if not access.may(reg, q, "pull", from) then return false end
  local ok, rule = access.may(reg, q, "mount", q.repo)
  local target = ok and blobs.has(reg, from, digest)
  if not reg.form.owns and not blobs.has(reg, q.repo, digest) then return false end
  if not target or not own_within(reg, q, digest, target) then return false end
  q.action, q.rule = "mount", rule
  reg.emit(q, "blob.mounted", { digest = digest, from = from })
  return true
end

local function post(reg, q)
  access.enter(reg, q, "push")
  if q.query.mount and mount(reg, q) then return created(reg, q.repo, q.query.mount) end
  if q.query.digest then return post_whole(reg, q) end
  quota.room(reg, q, 0)
  local algorithm = q.query["digest-algorithm"] or "sha256"
  if not reg.form.algorithms[algorithm] then
    gate.fail(400, "DIGEST_INVALID", "no digest of this algorithm is taken",
      { algorithm = algorithm })
  end
  local s = { repo = q.repo, id = sessions.name(reg, q.repo, q.user.name), size = 0 }
  reg.limits:hold(q, s.id)
  s.started = reg.sessions.start(reg, s.repo, s.id, algorithm)
  q:note { upload = s.id }
  gate.log.debug("upload begun", { repo = s.repo })
  count("begun")
  return reply(202, nil, session_headers(reg, s))
end

local function patch(reg, q)
  access.enter(reg, q, "push")
  local s = use(reg, q)
  reg.limits:renew(q, s.id)
  local fits, announced = check_range(q, s)
  if not fits or (q.body and not append(reg, q, s, announced)) then
    return out_of_place(reg, q, s)
  end
  return reply(202, nil, session_headers(reg, s))
end

-- The end of a session that has bytes, or has none and gets none now: what is there, and what the
-- closing request brings, must have the digest. Returns the size, false when it has not, nil
-- when somebody else has appended.
local function finish(reg, q, s, announced, digest, algorithm)
  local got
  if q.body then
    got = append(reg, q, s, announced)
    if not got then return nil end
  end
  local sums, lost = gate.try(reg.sessions.digests, reg, s, algorithm, got)
  if not sums and not is_overtaken(lost) then error(lost, 0) end
  if not sums then return nil end
  if digest ~= algorithm .. ":" .. sums[algorithm] then return false end
  local owned = reg.quota and blobs.has(reg, s.repo, digest)
  local ok, e = gate.try(quota.keep, reg, q, s.size, owned, function()
    return sessions.commit(reg, s, digest, "sha256:" .. sums.sha256)
  end)
  if not ok and not is_overtaken(e) then error(e, 0) end
  return ok and s.size
end

local function put(reg, q)
  access.enter(reg, q, "push")
  local s = use(reg, q)
  local digest, algorithm = wanted(reg, q)
  local fits, announced = check_range(q, s)
  if not fits then return out_of_place(reg, q, s) end
  if s.size == 0 and not q.body and digest ~= algorithm .. ":" .. gate.hash(algorithm, "") then
    local answer = overtaken(reg, q, s, digest)
    if answer then return answer end
  end
  local size
  if s.size == 0 and q.body then
    size = stream_blob(reg, q, s.repo, digest, algorithm)
    if size then remove(reg, q, s) end
  else
    size = finish(reg, q, s, announced, digest, algorithm)
    if size == nil then return overtaken(reg, q, s, digest) end
  end
  if not size then
    remove(reg, q, s)
    mismatch(digest)
  end
  reg.limits:release(q, s.id)
  gate.log.info("blob pushed", { repo = s.repo, digest = digest })
  count("finished")
  reg.emit(q, "blob.pushed", { digest = digest, size = size })
  return created(reg, s.repo, digest)
end

local function tell(reg, q)
  access.enter(reg, q, "push")
  return reply(204, nil, session_headers(reg, find(reg, q)))
end

local function cancel(reg, q)
  access.enter(reg, q, "push")
  local s = find(reg, q)
  remove(reg, q, s)
  count("cancelled")
  gate.log.info("upload cancelled", { repo = s.repo, size = s.size })
  return reply(204)
end

function M.routes(app, reg)
  app:post("/{repo...}/blobs/uploads/", function(q) return post(reg, q) end)
  local path = "/{repo...}/blobs/uploads/{id}"
  app:patch(path, function(q) return patch(reg, q) end)
  app:put(path, function(q) return put(reg, q) end)
  app:get(path, function(q) return tell(reg, q) end)
  app:delete(path, function(q) return cancel(reg, q) end)
end

return M
