-- SPDX-License-Identifier: Apache-2.0
local podman = require "spec.clients.podman"

local M = { name = "buildah", programs = { "buildah" }, missing = podman.missing }

function M.start(at)
  return podman.start_as("buildah", at)
end

return M
