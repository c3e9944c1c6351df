-- SPDX-License-Identifier: Apache-2.0
--
-- What repositories, tags and digests may be called (OCI distribution-spec 1.1). Each check looks
-- at every byte a fixed number of times, whatever a client sends.
local byte, sub = string.byte, string.sub

local REPO_MAX = 255
local TAG_MAX = 128
local HEX_OF = { sha256 = 64, sha512 = 128 } -- both names have six letters

local M = {}

-- What the last byte of a name was, as far as it matters for the next one.
local START, LETTER, DOT, UNDERSCORE, TWO, DASH = 1, 2, 3, 4, 5, 6
local AFTER = { [47] = START, [46] = DOT, [95] = UNDERSCORE, [45] = DASH } -- a letter

-- Components separated by single slashes, each [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*. Looked at byte by
-- byte, which is compiled; every request about a repository comes here.
function M.is_repo(text)
  if #text > REPO_MAX then return false end
  local last = START
  for i = 1, #text do
    local c = byte(text, i)
    if c >= 97 and c <= 122 or c >= 48 and c <= 57 then
      last = LETTER
    elseif c == 95 and last == UNDERSCORE then
      last = TWO
    elseif c == 45 and last == DASH then
      last = DASH
    else
      last = last == LETTER and AFTER[c]
      if not last then return false end
    end
  end
  return last == LETTER
end

-- [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
function M.is_tag(text)
  local n = #text
  for i = 1, n do
    local c = byte(text, i)
    local is_word = c >= 97 and c <= 122 or c >= 65 and c <= 90 or c >= 48 and c <= 57 or c == 95
    if not is_word and (i == 1 or c ~= 46 and c ~= 45) then return false end
  end
  return n > 0 and n <= TAG_MAX
end

local function is_hex(text, from)
  for i = from, #text do
    local c = byte(text, i)
    if not (c >= 48 and c <= 57 or c >= 97 and c <= 102) then return false end
  end
  return true
end

-- "sha256:<64 digits>" -> "sha256", the digits; nil for anything else, capitals included.
function M.digest(text)
  local algorithm = sub(text, 1, 6)
  if byte(text, 7) ~= 58 or HEX_OF[algorithm] ~= #text - 7 or not is_hex(text, 8) then
    return nil
  end
  return algorithm, sub(text, 8)
end

return M
