-- SPDX-License-Identifier: Apache-2.0
--
-- The form "links": who owns what is said by links, small files that hold a digest. A repository
-- has one for each blob and each manifest that it owns, and a tag is one, too. Content is stored by
-- its SHA-256 whatever a client called it, so the link of another digest holds the SHA-256 (an
-- alias), and counts only while the link of that SHA-256 stands.
--
-- forms/init.lua says what each function is for.
local gate = require "tidegate"
local names = require "apps.registry.names"

local LINK_MAX = 256 -- bytes; the longest digest has 135
local TRIES = 3 -- a tag that is damaged is written over, unless somebody else does

local M = {
  owns = true,
  tags_are_folders = true,
  algorithms = { sha256 = true, sha512 = true },
}

-- The digest that the file names; nil when it is absent. A torn one, as a crash of another
-- registry leaves it, counts as absent: the client then pushes again, which mends it.
local function read(reg, key)
  local text = reg.store:read(key, LINK_MAX)
  if not text then return nil end
  if names.digest(text) then return text end
  gate.log.warn("damaged link", { key = key })
  return nil
end

M.read = read

-- `key_of` is the layout's function for the kind of link: layer or revision.
local function follow(reg, key_of, repo, digest)
  local target = read(reg, key_of(repo, digest))
  if target and target ~= digest and not reg.store:stat(key_of(repo, target)) then return nil end
  return target
end

local function write(reg, key_of, repo, digest, target)
  reg.store:put(key_of(repo, target), target)
  if digest ~= target then reg.store:put(key_of(repo, digest), target) end
end

local function remove(reg, key_of, repo, digest, target)
  reg.store:remove(key_of(repo, target))
  if digest ~= target then reg.store:remove(key_of(repo, digest)) end
end

function M.blob(reg, repo, digest)
  return follow(reg, reg.layout.layer, repo, digest)
end

function M.own_blob(reg, repo, digest, target)
  write(reg, reg.layout.layer, repo, digest, target)
end

function M.disown_blob(reg, repo, digest, target)
  remove(reg, reg.layout.layer, repo, digest, target)
end

function M.manifest(reg, repo, digest)
  return follow(reg, reg.layout.revision, repo, digest)
end

function M.own_manifest(reg, repo, digest, target)
  write(reg, reg.layout.revision, repo, digest, target)
end

function M.keep_manifest(reg, repo, digest, target)
  for _, d in ipairs { target, digest } do
    local revision = reg.layout.revision(repo, d)
    if not reg.store:stat(revision) then reg.store:put(revision, target) end
  end
end

function M.disown_manifest(reg, repo, digest, target)
  remove(reg, reg.layout.revision, repo, digest, target)
end

function M.read_tag(reg, repo, tag)
  local digest = read(reg, reg.layout.tag_current(repo, tag))
  if not digest or names.digest(digest) == "sha256" then return digest, digest end
  local target = M.manifest(reg, repo, digest)
  return target and digest, target
end

function M.tag_names(reg, repo, tag, digest, target)
  local named = read(reg, reg.layout.tag_current(repo, tag))
  return named == target or named == digest
    or named and names.digest(named) ~= "sha256"
      and read(reg, reg.layout.revision(repo, named)) == target, named
end

-- The index entry first: what the tag names or has named.
function M.set_tag(reg, repo, tag, digest)
  reg.store:put(reg.layout.tag_index(repo, tag, digest), digest)
  reg.store:put(reg.layout.tag_current(repo, tag), digest)
end

function M.set_tag_once(reg, repo, tag, digest, target)
  reg.store:put(reg.layout.tag_index(repo, tag, digest), digest)
  local key, e = reg.layout.tag_current(repo, tag), nil
  for _ = 1, TRIES do
    local text, object = reg.store:read(key, LINK_MAX)
    if text and names.digest(text) then
      if M.tag_names(reg, repo, tag, digest, target) then return nil end
      reg.store:remove(reg.layout.tag_index(repo, tag, digest)) -- it has never named this one
      return text
    end
    local done
    done, e = gate.try(reg.store.put_if, reg.store, key, digest, object and object.etag or "")
    if done then return nil end
    if e.name ~= "EXISTS" then break end
  end
  error(e, 0)
end

-- With its history.
function M.remove_tag(reg, repo, tag)
  return reg.store:remove_prefix(reg.layout.tag(repo, tag)) > 0
end

function M.untag(reg, repo, tag)
  return M.remove_tag(reg, repo, tag)
end

function M.tag_of(entry, prefix)
  return entry.prefix and entry.name:sub(#prefix + 1, -2) or nil
end

function M.below(reg, repo)
  return reg.layout.repositories .. (repo and repo .. "/" or "")
end

function M.exists(reg, repo)
  return #reg.store:list(reg.layout.manifests(repo), { delimiter = true, limit = 1 }) > 0
end

return M
