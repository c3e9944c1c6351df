-- SPDX-License-Identifier: Apache-2.0
--
-- Files of users and groups, in the form of Apache's: "name:hash" and "group: name name …", a line
-- each; empty lines and comments (#) are skipped. What is wrong is an error with file and line, and
-- holds nothing of the hash.
local gate = require "tidegate"

local COST = 10 -- of a file without users

local M = {}

-- Calls f(number, text) for each line that says something.
local function each_line(text, f)
  local at, number, n = 1, 0, #text
  while at <= n do
    local stop = text:find("\n", at, true) or n + 1
    number = number + 1
    local line = text:sub(at, stop - 1)
    if line:byte(#line) == 13 then line = line:sub(1, -2) end
    if line ~= "" and line:byte(1) ~= 35 and line:find "%S" then f(number, line) end
    at = stop + 1
  end
end

local function fault(file, number, message, ...)
  error(("%s:%d: "):format(file, number) .. message:format(...), 0)
end

-- A function from a file's text to { hashes = { name = hash }, cost = the highest of them }.
function M.users(file)
  return function(text)
    local hashes, lines, highest = {}, {}, nil
    each_line(text, function(number, line)
      local colon = line:find(":", 1, true)
      if not colon then fault(file, number, "NAME:HASH is expected") end
      local name, hash = line:sub(1, colon - 1), line:sub(colon + 1)
      if name == "" or #name > 255 or name:find "[%c ]" then
        fault(file, number, "this is no name of a user")
      elseif hashes[name] then
        fault(file, number, "user '%s' is in line %d already", name, lines[name])
      end
      local cost, scheme = gate.password.cost(hash)
      if not cost then
        fault(file, number, "the hash of user '%s' must be bcrypt ($2b$), it is %s", name, scheme)
      end
      hashes[name], lines[name] = hash, number
      highest = math.max(highest or 0, cost)
    end)
    return { hashes = hashes, cost = highest or COST }
  end
end

-- A function from a file's text to { user = { group = true } }.
function M.groups(file)
  return function(text)
    local of = {}
    each_line(text, function(number, line)
      local group, names = line:match "^([^:%s]+):(.*)$"
      if not group then fault(file, number, "GROUP: NAME NAME … is expected") end
      for name in names:gmatch "%S+" do
        of[name] = of[name] or {}
        of[name][group] = true
      end
    end)
    return of
  end
end

return M
