-- SPDX-License-Identifier: Apache-2.0
--
-- The option `http_secret`: what the distribution registry needs to go on with an upload that was
-- begun here. It keeps a session as we do, but takes a request about one only with the parameter
-- `_state`, in which its clients carry along where they are: JSON, and before it its HMAC-SHA256
-- under a secret that all of its instances share. Given that secret, our Locations carry it, too.
-- Here it is not looked at: the store says where an upload is, and an id whose.
local gate = require "tidegate"

local STARTED = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"

-- Base64 as a query wants it. Go's decoder wants the padding that our "url" leaves out.
local ESCAPES = { ["+"] = "-", ["/"] = "_", ["="] = "%3D" }

local M = {}

local function bytes_of(hex)
  return (hex:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- Says what is wrong with the option.
function M.check(secret, prefix, layout)
  if secret == "" then error("'http_secret' must not be empty", 0) end
  -- inside of a namespace, a repository has another name than the other registry would look for
  if secret and prefix ~= "/v2" then
    error(("'http_secret' is for the prefix \"/v2\", where the other registry answers, not %q")
      :format(prefix), 0)
  end
  if secret and layout and (layout.uploads or "append") ~= "append" then
    error("'http_secret' is for a layout that keeps uploads as the distribution registry does", 0)
  end
end

-- A function of the session { repo, id, size, started } that gives what stands behind its address.
-- The secret is in here and nowhere else, so that nothing that shows a registry shows it.
function M.new(secret)
  if not secret then return function() return "" end end
  return function(s)
    if not s.started:find(STARTED) then return "" end -- torn by a crash: of no use there either
    local state = gate.json.encode { Name = s.repo, UUID = s.id, Offset = s.size,
      StartedAt = s.started }
    local sealed = bytes_of(gate.hmac("sha256", secret, state)) .. state
    return "?_state=" .. gate.base64.encode(sealed):gsub("[+/=]", ESCAPES)
  end
end

return M
