-- SPDX-License-Identifier: Apache-2.0
--
-- Links: small files that say "this repository owns that content". Content is stored by its
-- SHA-256 whatever a client called it, so the link of another digest holds the SHA-256 (an alias),
-- and counts only while the link of that SHA-256 stands.
--
-- `key_of` is the layout's function for the kind of link: layer or revision.
local gate = require "tidegate"
local names = require "apps.registry.names"

local LINK_MAX = 256 -- bytes; the longest digest has 135

local M = {}

-- The digest that the file names; nil when it is absent. A torn one, as a crash of another
-- registry leaves it, counts as absent: the client then pushes again, which mends it.
function M.read(reg, key)
  local text = reg.store:read(key, LINK_MAX)
  if not text then return nil end
  if names.digest(text) then return text end
  gate.log.warn("damaged link", { key = key })
  return nil
end

-- The SHA-256 digest of the content that the repository owns by this digest, or nil.
function M.follow(reg, key_of, repo, digest)
  local target = M.read(reg, key_of(repo, digest))
  if target and target ~= digest and not reg.store:stat(key_of(repo, target)) then return nil end
  return target
end

-- Makes the repository own the content `target` by that digest, and by `digest`.
function M.write(reg, key_of, repo, digest, target)
  reg.store:put(key_of(repo, target), target)
  if digest ~= target then reg.store:put(key_of(repo, digest), target) end
end

-- The content stays; the repository does not own it any more, by whatever digest.
function M.remove(reg, key_of, repo, digest, target)
  reg.store:remove(key_of(repo, target))
  if digest ~= target then reg.store:remove(key_of(repo, digest)) end
end

return M
