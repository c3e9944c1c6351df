-- SPDX-License-Identifier: Apache-2.0
--
-- An OCI registry (distribution-spec 1.1) over any store, as an application of the public API:
-- what it can do, every script can do.
--
--   local registry = require "apps.registry"
--   registry { store = disk, allow = function(q) return q.action == "pull" end }
--
--   store    where everything is kept
--   layout   which names it has there (default: layouts.distribution)
--   auth     who is asking (default: auth.anonymous)
--   allow    whether they may; access.lua says what it is told (default: everything)
--   on       functions that hear of changes: { ["manifest.pushed"] = function(e) … end };
--            events.lua says which there are
--   prefix   the path it answers below (default: "/v2", which is where clients look); that of a
--            namespace is "/v2/NAME": there the repositories NAME/… are kept apart from all others
--   host     the name of the host it answers for, or a list of them (default: every one)
--   shared   true for each of several registries that show the same repositories of one store,
--            say under two names with other rules; otherwise that is a mistake
local auth = require "auth"
local gate = require "tidegate"
local errors = require "apps.registry.errors"
local events = require "apps.registry.events"
local namespace = require "apps.registry.namespace"
local reply = require "apps.registry.reply"
local types = require "apps.registry.types"

local ROOMS = {
  require "apps.registry.blobs",
  require "apps.registry.catalog",
  require "apps.registry.manifests",
  require "apps.registry.referrers",
  require "apps.registry.tags",
  require "apps.registry.uploads",
}

-- what each option has to be
local OPTIONS = {
  store = { table = true, userdata = true },
  layout = { table = true },
  auth = { table = true },
  allow = { ["function"] = true },
  on = { table = true },
  prefix = { string = true },
  host = { string = true, table = true },
  shared = { boolean = true },
}

local function check(options)
  if type(options) ~= "table" then error("registry: options are a table", 3) end
  for name, value in pairs(options) do
    local kinds = OPTIONS[name]
    if not kinds then error(("registry: unknown option '%s'"):format(name), 3) end
    if not kinds[type(value)] then
      error(("registry: option '%s' cannot be a %s"):format(name, type(value)), 3)
    end
  end
  if not options.store then error("registry: option 'store' is missing", 3) end
  local ok, wrong = pcall(events.check, options.on or {})
  if not ok then error("registry: " .. wrong, 3) end
end

local function everything() return true end

-- Two registries in one place would each take the other's objects for its own.
local function claim(reg, shared)
  local what = "the registry at " .. reg.prefix
  local ok, wrong = pcall(reg.store.claim, reg.store, what,
    { below = reg.layout.root or "", shared = shared })
  if not ok then error("registry: " .. wrong, 3) end
end

return function(options)
  check(options)
  local who = options.auth or auth.anonymous
  local reg = {
    store = options.store,
    layout = options.layout or require "layouts.distribution",
    allow = options.allow or everything,
    prefix = options.prefix or "/v2",
    emit = events.new(options.on or {}),
    types = types.cache(),
    space = namespace.new(options.prefix),
  }
  claim(reg, options.shared)
  local app = gate.app { prefix = reg.prefix, host = options.host,
    on_error = errors(who.challenge) }

  app:use(function(q)
    q.user = who.identify(q) or gate.fail(401, "UNAUTHORIZED", "who are you?")
  end)

  app:get("/", function() return reply(200, {}) end)
  for _, room in ipairs(ROOMS) do room.routes(app, reg) end
  return app
end
