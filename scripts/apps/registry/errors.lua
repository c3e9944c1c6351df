-- SPDX-License-Identifier: Apache-2.0
--
-- Errors as the distribution-spec writes them: {"errors":[{"code","message","detail"}]}. Handlers
-- fail with the specification's own codes; what the machine raises gets its code here.
local gate = require "tidegate"
local reply = require "apps.registry.reply"

-- by the name of a typed error (docs/lua.md)
local CODES = {
  NOT_FOUND = "UNSUPPORTED", -- a path that the registry has no meaning for
  INVALID = "NAME_INVALID",
  RANGE = "RANGE_INVALID",
  TOO_LARGE = "SIZE_INVALID",
  MISMATCH = "DIGEST_INVALID",
  MALFORMED = "SIZE_INVALID",
  STALLED = "SIZE_INVALID",
  NO_SPACE = "UNAVAILABLE",
  BUSY = "UNAVAILABLE",
  TIMEOUT = "UNAVAILABLE",
  UNSUPPORTED = "UNSUPPORTED",
  UPSTREAM = "UNAVAILABLE",
  LATE = "UNAVAILABLE",
  CORRUPT = "UNKNOWN",
  IO = "UNKNOWN",
  READONLY = "UNSUPPORTED", -- as the distribution registry answers when it is read-only
  INTERNAL = "UNKNOWN", -- a mistake in a script
}

local function code_of(e)
  if e.status == 405 then return "UNSUPPORTED" end
  if e.status == 429 then return "TOOMANYREQUESTS" end
  return CODES[e.name] or e.code or "UNKNOWN"
end

-- A refusal that says 404 is daily bread: every push asks first whether a blob is there.
local function log_of(status)
  if status >= 500 then return gate.log.error end
  return status == 404 and gate.log.debug or gate.log.info
end

-- An operator's function was asked (access.lua) and has raised what was not meant for a client: a
-- 404 from a store in `allow` must not look like a blob that is not there.
local function mistake(q, e)
  gate.log.error("an option's function failed", { option = q.asks, why = tostring(e) })
  return { status = 500, name = "INTERNAL",
    message = "internal error, see the log for request " .. q.id }
end

-- A store that may not read its own files is no rule of the registry: who hears 403 looks for
-- another password.
local function denied()
  return { status = 500, name = "IO", message = "the gateway has no access to its store" }
end

-- What an application calls for every typed error; `challenge`, a text or a function of the
-- request, goes with each 401.
return function(challenge)
  return function(q, e)
    if q.asks and e.name ~= "INTERNAL" then e = mistake(q, e) end
    if e.world and e.name == "DENIED" then e = denied() end
    local code = code_of(e)
    q:note { code = code }
    log_of(e.status)("refused", {
      status = e.status, code = code, why = e.message,
      repo = q.repo,
    })
    local headers = {}
    if e.status == 401 then
      headers["WWW-Authenticate"] = type(challenge) == "function" and challenge(q) or challenge
    end
    local entry = { code = code, message = e.message, detail = e.detail }
    return reply(e.status, { errors = { entry } }, headers)
  end
end
