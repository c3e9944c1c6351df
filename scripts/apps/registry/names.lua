-- SPDX-License-Identifier: Apache-2.0
--
-- What repositories, tags and digests may be called (OCI distribution-spec 1.1). Each check looks
-- at every byte a fixed number of times, whatever a client sends.
local REPO_MAX = 255
local TAG_MAX = 128
local HEX_OF = { sha256 = 64, sha512 = 128 }

local M = {}

-- [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
local function is_component(text)
  if not text:find("^[a-z0-9][a-z0-9._-]*$") or not text:find("[a-z0-9]$") then return false end
  for separator in text:gmatch("[^a-z0-9]+") do
    if separator ~= "." and separator ~= "_" and separator ~= "__"
      and separator:find("[^-]") then
      return false
    end
  end
  return true
end

-- Components of a repository's name are separated by single slashes.
function M.is_repo(text)
  if #text > REPO_MAX or text:find("//", 1, true) or text:find("^/") or text:find("/$") then
    return false
  end
  local n = 0
  for component in text:gmatch("[^/]+") do
    if not is_component(component) then return false end
    n = n + 1
  end
  return n > 0
end

function M.is_tag(text)
  return #text <= TAG_MAX and text:find("^[A-Za-z0-9_][A-Za-z0-9_.-]*$") ~= nil
end

-- "sha256:<64 digits>" -> "sha256", the digits; nil for anything else, capitals included.
function M.digest(text)
  local algorithm, hex = text:match("^([a-z0-9]+):([0-9a-f]+)$")
  if not algorithm or HEX_OF[algorithm] ~= #hex then return nil end
  return algorithm, hex
end

return M
