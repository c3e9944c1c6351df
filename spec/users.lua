-- SPDX-License-Identifier: Apache-2.0
--
-- A gateway with users: its script, their passwords and groups in a folder of their own.
local gateway = require "spec.gateway"
local mime = require "mime"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"

local M = {}

-- "name:hash", by the program's own command; a low cost keeps specs quick.
function M.line(name, password, cost)
  local line = tool.must(("printf %%s %s | %s hash-password %s --cost %d"):format(
    tool.quote(password), PROGRAM, tool.quote(name), cost or 4))
  return (line:gsub("\n$", ""))
end

-- The value of an Authorization header.
function M.basic(name, password)
  return "Basic " .. mime.b64(name .. ":" .. password)
end

-- The options of a request as that user.
function M.as(name, password, options)
  options = options or {}
  options.headers = options.headers or {}
  options.headers.Authorization = M.basic(name, password)
  return options
end

-- Starts it from a folder that holds the files (name -> text) and the script.
function M.start(script, files)
  local folder = tool.tmpdir()
  for name, text in pairs(files) do tool.write(folder .. "/" .. name, text) end
  tool.write(folder .. "/gateway.lua", script)
  local g = gateway.start { path = folder .. "/gateway.lua" }
  g.home = folder
  return g
end

function M.stop(g)
  g:stop()
  tool.remove(g.home)
end

-- Seconds of processor time that it has used: how busy the machine is does not matter.
function M.worked(g)
  local stat, fields = tool.read(("/proc/%d/stat"):format(g.pid)):gsub("^.*%) ", ""), {}
  for word in stat:gmatch "%S+" do fields[#fields + 1] = tonumber(word) or 0 end
  return (fields[12] + fields[13]) / 100
end

return M
