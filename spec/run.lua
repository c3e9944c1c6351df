-- SPDX-License-Identifier: Apache-2.0
-- Runs the specs under LuaJIT: `luajit spec/run.lua [busted options] [files or folders]`, from the
-- top of the tree. Without a file it runs every spec/**/*_spec.lua. Modules of scripts/ and of the
-- tree itself (`require "spec.…"`) are found.

package.path = "./?.lua;./?/init.lua;scripts/?.lua;scripts/?/init.lua;" .. package.path

local function has_path(args)
  for _, a in ipairs(args) do
    if a:sub(1, 1) ~= "-" then return true end
  end
  return false
end

if not has_path(arg) then table.insert(arg, "spec") end
table.insert(arg, 1, "--output=spec/report.lua")

-- busted leaves by error(nil) when a spec failed; it has said why by then
local ok, err = pcall(require "busted.runner", { standalone = false })
if not ok then
  if err then io.stderr:write(tostring(err), "\n") end
  os.exit(1)
end
