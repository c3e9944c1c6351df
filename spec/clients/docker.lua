-- SPDX-License-Identifier: Apache-2.0
--
-- Docker: a daemon of our own, which needs neither a network nor a file system that can overlay.
-- It trusts every registry on 127.0.0.0/8, by HTTPS first and without looking at certificates.
local gateway = require "spec.gateway"
local lfs = require "lfs"
local tool = require "spec.tool"

local M = {
  name = "docker", programs = { "dockerd", "docker", "containerd" }, root = true,
  missing = {
    verify = "its daemon trusts everybody on 127.0.0.0/8",
    tls_index = "docker manifest trusts only what the whole machine trusts",
  },
}

local client = {}
client.__index = client

function M.start(at)
  local folder = at.folder
  local daemon = gateway.spawn {
    command = {
      "dockerd", "--data-root", folder .. "/data", "--exec-root", folder .. "/exec",
      "-H", "unix://" .. folder .. "/socket", "-p", folder .. "/pid", "--bridge=none",
      "--iptables=false", "--ip6tables=false", "--storage-driver=vfs",
      "--insecure-registry", "127.0.0.0/8",
    },
    ready = function(daemon)
      return daemon:log():find("API listen on", 1, true)
        and lfs.attributes(folder .. "/socket", "mode") == "socket"
    end,
  }
  return setmetatable({
    folder = folder, daemon = daemon, n = 0,
    program = ("DOCKER_BUILDKIT=0 DOCKER_CONFIG=%s/config timeout 60 docker -H unix://%s/socket ")
      :format(folder, folder),
  }, client)
end

function client:run(command, ...)
  return tool.must(self.program .. command:format(...))
end

-- Builds from scratch, with a layer for each file.
function client:build(name, files, arch)
  self.n = self.n + 1
  local folder, lines = ("%s/%d"):format(self.folder, self.n), { "FROM scratch" }
  tool.must("mkdir " .. folder)
  for file, text in pairs(files) do
    tool.write(folder .. "/" .. file, text)
    lines[#lines + 1] = ("COPY %s /%s"):format(file, file)
  end
  lines[#lines + 1] = 'CMD ["/file"]'
  tool.write(folder .. "/Dockerfile", table.concat(lines, "\n"))
  self:run("build --quiet --platform linux/%s -t %s %s", arch, name, folder)
end

function client:push(ref, files)
  self:build(ref, files, "amd64")
  self:run("push --quiet %s", ref)
end

-- The daemon knows no indexes: the command line makes one of images that are pushed.
function client:push_index(ref, of)
  local names = {}
  for arch, files in pairs(of) do
    local name = ref .. "-" .. arch
    self:build(name, files, arch)
    self:run("push --quiet %s", name)
    names[#names + 1] = name
  end
  self:run("manifest create --insecure %s %s", ref, table.concat(names, " "))
  for arch in pairs(of) do
    self:run("manifest annotate --os linux --arch %s %s %s-%s", arch, ref, ref, arch)
  end
  self:run("manifest push --insecure %s", ref)
end

function client:pull(ref, arch)
  self.n = self.n + 1
  local folder, files = ("%s/%d"):format(self.folder, self.n), {}
  self:run("image prune --all --force")
  self:run("pull --quiet --platform linux/%s %s", arch or "amd64", ref)
  local id = self:run("create --platform linux/%s %s", arch or "amd64", ref):match("(%x+)%s*$")
  tool.must("mkdir " .. folder)
  self:run("export %s | tar -C %s -x", id, folder)
  self:run("rm %s", id)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:sub(1, 1) ~= "." and lfs.attributes(path, "mode") == "file" then
      files[name] = tool.read(path)
    end
  end
  return files
end

function client:login(address, user, password)
  self:run("login --username %s --password %s %s", user, password, address)
end

function client:stop()
  self.daemon:stop()
end

return M
