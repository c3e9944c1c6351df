-- SPDX-License-Identifier: Apache-2.0
--
-- The clients that people use, each behind the same operations, so that every scenario of
-- spec/clients_spec.lua is tried with every one of them. A driver is a table:
--
--   name       of the client
--   programs   what must be installed
--   root       true: it runs as root only
--   daily      true: quick enough for `make test`; `make clients` runs all
--   unauthorized  what it says of a 401 when it has no password, and does not even show the reason
--   start(at)  → a client. It writes below at.folder alone, which is empty; it trusts the
--              certificates in at.certs, a folder with ca.crt, or else speaks plain HTTP
--   missing    operation -> why this client has not got it, for the output; "images" if what it
--              pushes is no image, so that the others have no use for it, nor it for theirs
--
-- and what it starts has these methods; each raises what the client has printed when it fails:
--
--   push(ref, files)        makes an image of the files (name -> text), and pushes it
--   push_index(ref, of)     the same for several architectures (architecture -> files)
--   pull(ref, arch)         → the files of the image, after it has forgotten what it had
--   login(address, user, password)
--   stop()
local tool = require "spec.tool"
local unistd = require "posix.unistd"

local M = {}

M.drivers = {}
for i, name in ipairs {
  "curl", "skopeo", "podman", "buildah", "docker", "ctr", "crane", "regctl", "oras", "helm",
  "umoci",
} do
  M.drivers[i] = require("spec.clients." .. name)
end

-- Is this run for that one? `make clients` says so (CLIENTS=all, or some: CLIENTS="docker ctr");
-- without that variable it is for those that take a moment.
function M.is_wanted(driver)
  local names = os.getenv "CLIENTS" or "daily"
  if names == "daily" then return driver.daily end
  return names == "all" or (" " .. names .. " "):find(" " .. driver.name .. " ", 1, true) ~= nil
end

function M.wanted()
  local found = {}
  for _, driver in ipairs(M.drivers) do
    if M.is_wanted(driver) then found[#found + 1] = driver end
  end
  return found
end

-- Why the driver cannot run here; nil when it can.
function M.hindrance(driver)
  for _, program in ipairs(driver.programs) do
    if not tool.has(program) then return program .. " is not installed" end
  end
  if driver.root and unistd.geteuid() ~= 0 then return "its daemon runs as root only" end
  return nil
end

-- Runs a client's command, for a minute at most.
function M.run(command, ...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = tool.quote(word) end
  return tool.must("timeout 60 " .. command:format(unpack(words)))
end

return M
