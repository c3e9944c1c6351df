-- SPDX-License-Identifier: Apache-2.0
--
-- The option `trash`: deleted tags and manifests can be brought back for a while. A delete takes
-- away names, never content; so an entry is a few words of JSON about one name:
--
--   TRASH/2026-11-22T09/ci/app/_tags/v1/001795338902113-60f095540a980873
--   TRASH/2026-11-22T09/ci/app/_manifests/sha256/17…/001795338902113-60f095540a980873
--   { digest, target, user }
--
-- The hour comes first, so that the oldest are listed first; the last part is the millisecond since
-- 1970 and the id of the request, so those of one delete have one id. An
-- entry is written before its name goes, and removed after the name is back: whoever is stopped
-- anywhere leaves the name, the entry, or both. What an entry names counts as used.
local format = require "tidegate.format"
local gate = require "tidegate"
local names = require "apps.registry.names"

local ENTRY_MAX = 4096 -- bytes
local ENTRY_FORMAT = 1
local USER_MAX = 256
local LEAST_S, LONGEST_S = 1, 3600 -- between two looks at what is due
local DUE_MAX = 1000 -- keys in memory
local AT_ONCE = 16 -- of these removed
local HOUR = "!%Y-%m-%dT%H"

local M = {}

-- Raises a string unless the option, in seconds, can be kept with this layout.
function M.check(seconds, layout)
  if not seconds then return end
  if seconds < 1 then error("'trash' must be at least \"1s\"", 0) end
  if type(layout.trash) ~= "string" then
    error("'trash' needs a layout that has a place for it, a prefix 'trash'", 0)
  end
end

-- Where what was deleted then lies; of a repository, a kind ("tags", "manifests") and a name.
local function folder(reg, hour, repo, kind, name)
  return ("%s%s/%s/_%s/%s/"):format(reg.layout.trash, hour, repo, kind, (name:gsub(":", "/")))
end

-- What remove(…) returns, which takes the tag away, or without one the manifest; false when it was
-- gone already. The digests are what it names, nil if it is damaged: then there is nothing to keep.
function M.keep(reg, q, tag, digest, target, remove, ...)
  if not reg.trash or not target then return remove(...) end
  local at = gate.now()
  local key = ("%s%015.0f-%s"):format(folder(reg, os.date(HOUR, at), q.repo,
    tag and "tags" or "manifests", tag or digest), at * 1000, q.id)
  reg.store:put(key, gate.json.encode { digest = digest, target = target,
    user = q.user.name:gsub("[^ -~]", "?"):sub(1, USER_MAX) })
  local removed = remove(...)
  if not removed then reg.store:remove(key) end
  return removed
end

-- What the key of an entry says: { key, hour, repo, tag or digest, ms, id }; nil for anything else.
local function parse(reg, key)
  local hour, repo, kind, name, ms, id =
    key:match("^([^/]+)/(.-)/_(%a+)/(.+)/(%d+)%-([^/]+)$", #reg.layout.trash + 1)
  if kind ~= "tags" and kind ~= "manifests" then return nil end
  return { key = key, hour = hour, repo = repo, tag = kind == "tags" and name or nil,
    digest = kind == "manifests" and name:gsub("/", ":") or nil, ms = tonumber(ms), id = id }
end

-- f(entry) for all below a prefix, in the order of their keys, until f returns true.
local function each_below(reg, prefix, f)
  local after, page, more
  repeat
    page, more = reg.store:list(prefix, { after = after })
    for _, object in ipairs(page) do
      after = object.name
      local entry = parse(reg, object.name)
      if entry and f(entry) then return end
    end
  until not more
end

-- The hours in which something was deleted, the latest first.
local function hours(reg)
  local list = {}
  local after, page, more
  repeat
    page, more = reg.store:list(reg.layout.trash, { delimiter = true, after = after })
    for _, object in ipairs(page) do
      after = object.name
      list[#list + 1] = object.name:sub(#reg.layout.trash + 1, -2)
    end
  until not more
  table.sort(list, function(a, b) return a > b end)
  return list
end

-- f(entry) for all, or for those of a repository.
function M.each(reg, repo, f)
  if not repo then return each_below(reg, reg.layout.trash, f) end
  for _, hour in ipairs(hours(reg)) do
    each_below(reg, ("%s%s/%s/_"):format(reg.layout.trash, hour, repo), f)
  end
end

-- Completes an entry by what stands in it; nil when it is gone, or damaged.
function M.read(reg, entry)
  local text = reg.store:read(entry.key, ENTRY_MAX)
  local record = text and gate.try(gate.json.decode, text)
  if type(record) ~= "table" then return nil end
  format.check(record, ENTRY_FORMAT, entry.key)
  if type(record.digest) ~= "string"
    or type(record.target) ~= "string" or not names.digest(record.digest)
    or names.digest(record.target) ~= "sha256" then
    return nil
  end
  entry.digest, entry.target = record.digest, record.target
  entry.user = type(record.user) == "string" and record.user or ""
  return entry
end

-- Milliseconds since 1970 as people read them.
local function time(ms)
  return ("%s.%03dZ"):format(os.date("!%Y-%m-%dT%H:%M:%S", math.floor(ms / 1000)), ms % 1000)
end

-- The last entry of a tag, or of a manifest, with a time that begins like `at`, if that is given.
function M.find(reg, repo, tag, digest, at)
  for _, hour in ipairs(hours(reg)) do
    local last
    each_below(reg, folder(reg, hour, repo, tag and "tags" or "manifests", tag or digest),
      function(entry)
        local fits = not at or time(entry.ms):sub(1, #at) == at
        if fits and M.read(reg, entry) then last = entry end
      end)
    if last then return last end
  end
  return nil
end

-- The tags that went with a manifest.
function M.tags_with(reg, entry)
  local list = {}
  for _, hour in ipairs { entry.hour, os.date(HOUR, entry.ms / 1000 + 3600) } do
    each_below(reg, ("%s%s/%s/_tags/"):format(reg.layout.trash, hour, entry.repo), function(other)
      if other.id == entry.id and M.read(reg, other) then list[#list + 1] = other end
    end)
  end
  return list
end

function M.forget(reg, entry)
  reg.store:remove(entry.key)
end

-- Removes the objects, some at once: the store syncs them together.
local function remove_all(reg, keys)
  local at, tasks = 0, {}
  local function work()
    while at < #keys do
      at = at + 1
      reg.store:remove(keys[at])
    end
  end
  for i = 1, math.min(AT_ONCE, #keys) do tasks[i] = gate.spawn(work) end
  for _, task in ipairs(tasks) do task:wait() end
end

-- Removes what is older than the option says, from the oldest on.
function M.expire(reg)
  local before, removed, due = gate.now() - reg.trash, 0, {}
  local last_hour = os.date(HOUR, before)
  local function flush()
    remove_all(reg, due)
    removed, due = removed + #due, {}
  end
  each_below(reg, reg.layout.trash, function(entry)
    if entry.hour > last_hour then return true end
    if entry.ms <= before * 1000 then due[#due + 1] = entry.key end
    if #due == DUE_MAX then flush() end
  end)
  flush()
  if removed > 0 then gate.log.info("trash emptied", { registry = reg.id, entries = removed }) end
end

-- The job that does so, on one of the gateways. Load time only.
function M.start(reg)
  if not reg.trash then return end
  gate.every(math.max(LEAST_S, math.min(reg.trash / 10, LONGEST_S)),
    "registry.trash." .. reg.name, { on = "gateway", store = reg.store }, function()
      if not gate.readonly() then M.expire(reg) end
    end)
end

-- `tidegate trash`; c is what tidegate.chores describes.
function M.list(c, reg)
  local repo = c.options.repo and reg.space.inner(c.options.repo)
  if c.options.repo and not repo then return end
  local rows = {}
  M.each(reg, repo, function(entry)
    if not M.read(reg, entry) then
      c:found("damaged trash", { key = entry.key })
      return
    end
    local name = reg.space.outer(entry.repo)
    rows[#rows + 1] = { repo = name, tag = entry.tag, digest = entry.digest, by = entry.user,
      what = entry.tag and name .. ":" .. entry.tag or name .. "@" .. entry.digest,
      deleted = time(entry.ms), ["until"] = reg.trash and time(entry.ms + reg.trash * 1000) or "-" }
    c:count "deleted"
  end)
  table.sort(rows, function(a, b) return a.deleted < b.deleted end)
  c:table({ "what", "deleted", "by", "until" }, rows)
end

return M
