-- SPDX-License-Identifier: Apache-2.0
--
-- What those clients share that push an image out of a folder, where it lies as an OCI image layout
-- with the tag v1. Each has a `folder` of its own, counts in `n`, and pushes by
-- push_layout(ref, folder).
local image = require "spec.image"

local M = {}
M.__index = M

-- The methods of one more of them.
function M.new()
  local client = setmetatable({}, M)
  client.__index = client
  return client
end

-- A name in its folder that nothing has.
function M:fresh()
  self.n = self.n + 1
  return ("%s/%d"):format(self.folder, self.n)
end

function M:push(ref, files)
  local folder = self:fresh()
  image.pack(folder, files)
  self:push_layout(ref, folder)
end

function M:push_index(ref, of)
  local folder = self:fresh()
  image.pack_index(folder, of)
  self:push_layout(ref, folder)
end

return M
