-- SPDX-License-Identifier: Apache-2.0
--
-- containerd by its own small client. The snapshots are plain copies: that works everywhere.
local gateway = require "spec.gateway"
local image = require "spec.image"
local lfs = require "lfs"
local packer = require "spec.clients.packer"
local tool = require "spec.tool"

local M = {
  name = "ctr", programs = { "containerd", "ctr" }, root = true,
  missing = { reason = "containerd 1.6 shows the status of a refusal, not its text" },
}

local CONFIG = [[
version = 2
root = "%s/root"
state = "%s/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.overlayfs",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = "%s/socket"
[ttrpc]
address = "%s/ttrpc"
]]

local client = packer.new()

function M.start(at)
  local folder = at.folder
  tool.write(folder .. "/config.toml", (CONFIG:gsub("%%s", folder)))
  local daemon = gateway.spawn {
    command = { "containerd", "-c", folder .. "/config.toml" },
    ready = function(daemon)
      return daemon:log():find("containerd successfully booted", 1, true)
        and lfs.attributes(folder .. "/socket", "mode") == "socket"
    end,
  }
  return setmetatable({
    folder = folder, daemon = daemon, n = 0, user = "", certs = at.certs,
  }, client)
end

function client:run(command, ...)
  return tool.must(("timeout 60 ctr -a %s/socket "):format(self.folder) .. command:format(...))
end

-- On 127.0.0.1 it speaks plain HTTP unless a file about the registry says otherwise.
function client:trust(ref)
  if not self.certs then return "--plain-http" end
  local address = ref:match("^[^/]+")
  local folder = ("%s/hosts/%s"):format(self.folder, address)
  tool.must("mkdir -p " .. folder)
  tool.write(folder .. "/hosts.toml", ('[host."https://%s"]\nca = "%s/ca.crt"\n')
    :format(address, self.certs))
  return ("--hosts-dir %s/hosts"):format(self.folder)
end

-- Brings the layout in by its tar, as repository:v1, and pushes it under its name.
function client:push_layout(ref, folder)
  local repo = ref:match("^(.+):[^:]+$")
  tool.must(("tar -C %s -cf %s.tar ."):format(folder, folder))
  self:run("images import --all-platforms --no-unpack --base-name %s %s.tar", repo, folder)
  self:run("images push %s %s %s %s:v1", self:trust(ref), self.user, ref, repo)
end

function client:forget()
  for name in self:run("images ls -q"):gmatch("%S+") do
    self:run("images rm --sync %s", name)
  end
end

function client:pull(ref, arch)
  self:forget()
  self:run("images pull --snapshotter native --platform linux/%s %s %s %s", arch or "amd64",
    self:trust(ref), self.user, ref)
  local digest = self:run("images ls"):match(ref:gsub("%p", "%%%0") .. "%s+%S+%s+(sha256:%x+)")
  return image.collect(self:fresh(), digest, arch or "amd64", function(blob, path)
    self:run("content get %s > %s", blob, path)
  end)
end

-- It keeps nothing: every command is told.
function client:login(_, user, password)
  self.user = ("--user %s:%s"):format(user, password)
end

function client:stop()
  self.daemon:stop()
end

return M
