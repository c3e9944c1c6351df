-- SPDX-License-Identifier: Apache-2.0
--
-- helm: charts, which are no images. The name of one is the last part of a reference, and its
-- version the tag. With whatever is on 127.0.0.1 it speaks no TLS, so there it is given another
-- name and a proxy that leads to it.
local gateway = require "spec.gateway"
local tool = require "spec.tool"

local CHART = "apiVersion: v2\nname: %s\nversion: %s\n"
local NAME = "registry.test" -- one that a registry's certificate has to have

local M = {
  name = "helm", programs = { "helm" }, unauthorized = "no basic auth credentials",
  missing = {
    images = "helm knows charts and no images",
    reason = "helm 3.16 shows the status of a refusal, not its text",
    push_index = "a chart is not of an architecture",
  },
}

local client = {}
client.__index = client

function M.start(at)
  return setmetatable({ folder = at.folder, certs = at.certs, n = 0 }, client)
end

function client:fresh()
  self.n = self.n + 1
  local folder = ("%s/%d"):format(self.folder, self.n)
  tool.must("mkdir " .. folder)
  return folder
end

function client:run(command, ...)
  local proxy = self.proxy and "HTTPS_PROXY=http://" .. self.proxy.address or ""
  return tool.must(("cd %s && HOME=%s %s timeout 60 helm "):format(self.folder, self.folder, proxy)
    .. command:format(...))
end

function client:access()
  return self.certs and ("--ca-file %s/ca.crt"):format(self.certs) or "--plain-http"
end

-- The repository above a chart, as it is to be called, the chart's name and its version.
function client:split(ref)
  local host, port, rest, name, version = ref:match("^(.-):(%d+)(.*)/([^/]+):([^:/]+)$")
  if self.certs then
    self.proxy = self.proxy or gateway.spawn {
      command = { "luajit", "spec/clients/relay.lua", host, port },
    }
    host = NAME
  end
  return ("oci://%s:%s%s"):format(host, port, rest), name, version
end

-- Packs a chart of this name and version with these files beside what every chart has; its path.
function client:package(name, version, files)
  local folder = self:fresh()
  local chart = folder .. "/" .. name
  tool.must("mkdir " .. chart)
  tool.write(chart .. "/Chart.yaml", CHART:format(name, version))
  for file, text in pairs(files) do tool.write(chart .. "/" .. file, text) end
  self:run("package %s --destination %s", chart, folder)
  return ("%s/%s-%s.tgz"):format(folder, name, version)
end

function client:push(ref, files)
  local repo, name, version = self:split(ref)
  self:run("push %s %s %s", self:access(), self:package(name, version, files), repo)
end

-- The version may be a range, such as "~1.0".
function client:pull(ref)
  local repo, name, version = self:split(ref)
  local folder, files = self:fresh(), {}
  self:run("pull %s %s/%s --version '%s' --untar --untardir %s", self:access(), repo, name, version,
    folder)
  local chart = folder .. "/" .. name
  for _, file in ipairs(tool.files(chart)) do
    if file ~= "Chart.yaml" then files[file] = tool.read(chart .. "/" .. file) end
  end
  return files
end

-- The head of a chart, as it prints it.
function client:show(ref)
  local repo, name, version = self:split(ref)
  return self:run("show chart %s %s/%s --version '%s'", self:access(), repo, name, version)
end

function client:login(address, user, password)
  self:run("registry login --insecure --username %s --password %s %s", user, password, address)
end

function client:stop()
  if self.proxy then self.proxy:stop() end
end

return M
