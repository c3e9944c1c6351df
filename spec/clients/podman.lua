-- SPDX-License-Identifier: Apache-2.0
--
-- podman and buildah: one storage, one way to talk to registries, two command lines.
local image = require "spec.image"
local tool = require "spec.tool"

local M = { name = "podman", programs = { "podman" }, missing = {} }

local client = {}
client.__index = client

local OPTIONS = {
  podman = "--root %s/root --runroot %s/run --tmpdir %s/tmp --storage-driver vfs "
    .. "--cgroup-manager cgroupfs --events-backend none ",
  buildah = "--root %s/root --runroot %s/run --storage-driver vfs ",
}

M.missing.resume = "it begins a cut blob anew, or gives up"

function M.start_as(name, at)
  local trust = at.certs and "--cert-dir=" .. at.certs or "--tls-verify=false"
  local authfile = at.folder .. "/auth.json"
  tool.write(authfile, "{}")
  return setmetatable({
    folder = at.folder, n = 0,
    program = name .. " " .. OPTIONS[name]:gsub("%%s", at.folder),
    access = ("%s --authfile=%s"):format(trust, authfile),
  }, client)
end

function M.start(at)
  return M.start_as("podman", at)
end

function client:run(command, ...)
  return tool.must("timeout 60 " .. self.program .. command:format(...))
end

function client:fresh()
  self.n = self.n + 1
  local folder = ("%s/%d"):format(self.folder, self.n)
  tool.must("mkdir " .. folder)
  return folder
end

-- Builds from scratch, with a layer for each file.
function client:build(name, files, arch)
  local folder, lines = self:fresh(), { "FROM scratch" }
  for file, text in pairs(files) do
    tool.write(folder .. "/" .. file, text)
    lines[#lines + 1] = ("COPY %s /%s"):format(file, file)
  end
  lines[#lines + 1] = 'CMD ["/file"]'
  tool.write(folder .. "/Containerfile", table.concat(lines, "\n"))
  self:run("build --quiet --layers --isolation chroot --arch %s -f %s/Containerfile -t %s %s",
    arch, folder, name, folder)
end

function client:push(ref, files)
  self:build(ref, files, "amd64")
  self:run("push --quiet %s %s", self.access, ref)
end

function client:push_index(ref, of)
  self:run("manifest create %s", ref)
  for arch, files in pairs(of) do
    self:build("localhost/" .. arch, files, arch)
    self:run("manifest add %s containers-storage:localhost/%s", ref, arch)
  end
  self:run("manifest push --all %s %s docker://%s", self.access, ref, ref)
end

function client:pull(ref, arch)
  local folder = self:fresh()
  self:run("rmi --all --force")
  self:run("pull --quiet --arch %s %s %s", arch or "amd64", self.access, ref)
  self:run("push --quiet %s oci:%s:v1", ref, folder)
  return image.unpack(folder, arch)
end

function client:login(address, user, password)
  self:run("login %s --username %s --password %s %s", self.access, user, password, address)
end

function client:stop()
  self:run("rmi --all --force")
end

return M
