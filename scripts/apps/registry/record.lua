-- SPDX-License-Identifier: Apache-2.0
--
-- The registry's option `audit`: changes of what names mean, as records of an audit log that are
-- durable before the change is made and before it is answered (docs/operate.md). Without the option
-- the change alone.
local gate = require "tidegate"

local M = {}

-- The option as gate.audit gives it: a path, or what it returned.
function M.read(audit)
  if audit == nil or type(audit) == "table" and type(audit.change) == "function" then
    return audit
  elseif type(audit) == "string" then
    return gate.audit(audit)
  end
  error("option 'audit' must be a path or what gate.audit returns", 0)
end

-- What f(…) returns. `fields` is completed.
function M.change(reg, q, fields, f, ...)
  if not reg.audit then return f(...) end
  fields.repository = q.repo
  return reg.audit:change(q, fields, f, ...)
end

-- The same for each of the tags, which all go to the digest; old(tag) says where from. With none
-- it is the manifest alone that is pushed.
function M.push(reg, q, tags, digest, old, f)
  if not reg.audit then return f() end
  if #tags == 0 then return M.change(reg, q, { new = digest }, f) end
  local function from(i)
    local tag = tags[i]
    if not tag then return f() end
    local fields = { action = "tag", tag = tag, old = old(tag), new = digest }
    return M.change(reg, q, fields, from, i + 1)
  end
  return from(1)
end

return M
