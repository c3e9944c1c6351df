-- SPDX-License-Identifier: Apache-2.0
--
-- oras, and with it whatever is built on oras-go: artifacts of any kind, and images by copying them
-- from and to an OCI layout folder.
local image = require "spec.image"
local packer = require "spec.clients.packer"
local tool = require "spec.tool"

local M = {
  name = "oras", programs = { "oras" }, unauthorized = "basic credential not found",
  missing = { resume = "oras gives up when a blob is cut" },
}

local client = packer.new()

function M.start(at)
  return setmetatable({ folder = at.folder, certs = at.certs, n = 0 }, client)
end

-- How a registry is spoken to: of one end of a copy, "from-" or "to-", or of everything else, "".
function client:access(side)
  local trust = self.certs and ("--%sca-file %s/ca.crt"):format(side, self.certs)
    or ("--%splain-http"):format(side)
  return ("%s --%sregistry-config %s/auth.json"):format(trust, side, self.folder)
end

-- Runs in a folder of its own, since names of files become names in the artifact.
function client:run(command, ...)
  return tool.must(("cd %s && timeout 60 oras "):format(self.folder) .. command:format(...))
end

function client:push_layout(ref, folder)
  self:run("cp --no-tty %s --from-oci-layout %s:v1 %s", self:access "to-", folder, ref)
end

function client:pull(ref, arch)
  local folder = self:fresh()
  self:run("cp --no-tty %s --platform linux/%s --to-oci-layout %s %s:v1", self:access "from-",
    arch or "amd64", ref, folder)
  return image.unpack(folder, arch)
end

function client:login(address, user, password)
  self:run("login %s --username %s --password %s %s", self:access "", user, password, address)
end

-- One file as an artifact of this kind, under the reference.
function client:push_artifact(ref, kind, name, text)
  tool.write(self.folder .. "/" .. name, text)
  self:run("push --no-tty %s --artifact-type %s %s %s", self:access "", kind, ref, name)
end

-- The same, with the reference as its subject.
function client:attach(ref, kind, name, text)
  tool.write(self.folder .. "/" .. name, text)
  self:run("attach --no-tty %s --artifact-type %s %s %s", self:access "", kind, ref, name)
end

-- What it prints of the artifacts that have the reference as their subject.
function client:attached(ref, kind)
  return self:run("discover %s --artifact-type %s --format json %s", self:access "", kind, ref)
end

-- The files of an artifact, name -> text.
function client:pull_artifact(ref)
  local folder, files = self:fresh(), {}
  self:run("pull --no-tty %s --output %s %s", self:access "", folder, ref)
  for _, name in ipairs(tool.files(folder)) do files[name] = tool.read(folder .. "/" .. name) end
  return files
end

-- Copies inside of registries, with all that refers to it.
function client:copy_all(from, to)
  self:run("cp --no-tty --recursive %s %s %s %s", self:access "from-", self:access "to-", from, to)
end

function client:tags(repo)
  return self:run("repo tags %s %s", self:access "", repo)
end

function client:delete(ref)
  self:run("manifest delete --force %s %s", self:access "", ref)
end

function client.stop() end

return M
