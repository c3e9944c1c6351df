-- SPDX-License-Identifier: Apache-2.0
--
-- gate.file: what a file beside the script holds, now.
local check = require("tidegate.check").check
local core = require "tidegate.core"

local FILE = { text = { "boolean", default = false }, read = "function" }

-- What C gives the text to, and whose error C takes for a fault of the file.
local function reader(file, read)
  return setmetatable({}, { __newindex = function(_, _, text) file.value = read(text) end })
end

-- { value = … }: C sets the field anew when the file has changed. Load time only.
return function(name, options)
  local o = check(options or {}, FILE, "gate.file")
  if type(name) ~= "string" or name == "" then
    error("gate.file: the name of a file is expected", 2)
  end
  local file = {}
  core.file(name, not (o.text or o.read), o.read and reader(file, o.read) or file)
  return file
end
