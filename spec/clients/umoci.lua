-- SPDX-License-Identifier: Apache-2.0
--
-- umoci makes and reads images in an OCI layout folder; skopeo takes them to a registry and back.
local lfs = require "lfs"
local skopeo = require "spec.clients.skopeo"
local tool = require "spec.tool"

local M = {
  name = "umoci", programs = { "umoci", "skopeo" },
  missing = { push_index = "umoci makes no indexes", resume = skopeo.missing.resume },
}

local client = {}
client.__index = client

function M.start(at)
  return setmetatable({ folder = at.folder, n = 0, carrier = skopeo.start(at) }, client)
end

function client:fresh()
  self.n = self.n + 1
  return ("%s/umoci-%d"):format(self.folder, self.n)
end

local function run(command, ...)
  return tool.must("timeout 60 umoci " .. command:format(...))
end

-- Begins with no layer, and adds one for each file.
function client:push(ref, files)
  local folder = self:fresh()
  run("init --layout %s", folder)
  run("new --image %s:v1", folder)
  run("config --image %s:v1 --architecture amd64 --os linux --config.cmd /file", folder)
  run("unpack --rootless --image %s:v1 %s.bundle", folder, folder)
  for name, text in pairs(files) do
    tool.write(("%s.bundle/rootfs/%s"):format(folder, name), text)
    run("repack --refresh-bundle --image %s:v1 %s.bundle", folder, folder)
  end
  self.carrier:push_layout(ref, folder)
end

function client:pull(ref)
  local folder, files = self:fresh(), {}
  self.carrier:pull_layout(ref, "amd64", folder)
  run("unpack --rootless --image %s:v1 %s.bundle", folder, folder)
  local root = folder .. ".bundle/rootfs"
  for name in lfs.dir(root) do
    if lfs.attributes(root .. "/" .. name, "mode") == "file" then
      files[name] = tool.read(root .. "/" .. name)
    end
  end
  return files
end

function client:login(address, user, password)
  self.carrier:login(address, user, password)
end

function client.stop() end

return M
