-- SPDX-License-Identifier: Apache-2.0
--
-- Large registries in no time: folders and files of the layout `distribution`, made directly below
-- a root. What a thousand files say alike is one file with many names.
local ffi = require "ffi"
local stdlib = require "posix.stdlib"
local tool = require "spec.tool"

ffi.cdef [[
  int mkdir(const char *path, unsigned mode);
  int link(const char *from, const char *to);
]]

local REPOSITORIES = "/docker/registry/v2/repositories/"
local NAMES_MOST = 50000 -- of one file; ext4 allows 65000

local M = {}

local Tree = {}
Tree.__index = Tree

-- A fresh folder for one; in memory where that can be had, since a disk takes long to remove what
-- took no time to make. For tool.remove.
function M.folder()
  local shared = "/dev/shm/tidegate-spec-XXXXXX"
  return stdlib.mkdtemp(shared) or tool.tmpdir()
end

-- A tree below a folder that is there.
function M.new(root)
  return setmetatable({ root = root, made = {} }, Tree)
end

-- Makes the folder and those above it.
function Tree:folder(path)
  if self.made[path] then return end
  local above = path:match "^(.+)/[^/]+$"
  if #above > #self.root then self:folder(above) end
  ffi.C.mkdir(path, 493) -- 0755
  self.made[path] = true
end

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

-- A file in a folder that is there; those with the text of the last one share its bytes.
function Tree:file(path, text)
  if text == self.text and self.names < NAMES_MOST then
    assert(ffi.C.link(self.source, path) == 0, path)
    self.names = self.names + 1
    return
  end
  write(path, text)
  self.source, self.text, self.names = path, text, 1
end

function Tree:repository(repo)
  return self.root .. REPOSITORIES .. repo
end

-- The same below a folder that is there, for one that nothing else will come into.
local function make(path, inside)
  for part in inside:gmatch "[^/]+" do
    path = path .. "/" .. part
    ffi.C.mkdir(path, 493)
  end
  return path
end

-- Tags that name the digest, whose manifest is not made.
function Tree:tags(repo, names, digest)
  local tags = self:repository(repo) .. "/_manifests/tags"
  self:folder(tags)
  for _, name in ipairs(names) do
    self:file(make(tags, name .. "/current") .. "/link", digest)
  end
end

-- Repositories that own one manifest and nothing else.
function Tree:repositories(names, digest)
  local inside = "_manifests/revisions/" .. digest:gsub(":", "/")
  for _, name in ipairs(names) do
    local path = self:repository(name)
    self:folder(path)
    self:file(make(path, inside) .. "/link", digest)
  end
end

-- Referrers of a digest, as far as their list goes: a descriptor and a revision each. f(i) returns
-- the i-th one's digest and descriptor.
function Tree:referrers(repo, subject, n, f)
  local list = self:repository(repo) .. "/_referrers/" .. subject:gsub(":", "/") .. "/of/sha256"
  local revisions = self:repository(repo) .. "/_manifests/revisions/sha256"
  self:folder(list)
  self:folder(revisions)
  for i = 1, n do
    local digest, descriptor = f(i)
    local hex = digest:match ":(.*)"
    write(list .. "/" .. hex, descriptor)
    write(make(revisions, hex) .. "/link", digest)
  end
end

-- The names made of a format and the numbers from 1 to n.
function M.names(format, n)
  local list = {}
  for i = 1, n do list[i] = format:format(i) end
  return list
end

return M
