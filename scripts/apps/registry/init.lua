-- SPDX-License-Identifier: Apache-2.0
--
-- An OCI registry (distribution-spec 1.1) over any store, as an application of the public API:
-- what it can do, every script can do.
--
--   local registry = require "apps.registry"
--   registry { store = disk, allow = function(q) return q.action == "pull" end }
--
-- docs/registry.md says what each option is, what the functions among them are told, and what
-- happens when one of them fails.
local auth = require "auth"
local check = require("tidegate.check").check
local gate = require "tidegate"
local errors = require "apps.registry.errors"
local events = require "apps.registry.events"
local explain = require "apps.registry.explain"
local forms = require "apps.registry.forms"
local handover = require "apps.registry.handover"
local idle = require "apps.registry.idle"
local immutable = require "apps.registry.immutable"
local limits = require "apps.registry.limits"
local names = require "apps.registry.names"
local namespace = require "apps.registry.namespace"
local notices = require "apps.registry.notices"
local record = require "apps.registry.record"
local reply = require "apps.registry.reply"
local restore = require "apps.registry.restore"
local token = require "apps.registry.token"
local trash = require "apps.registry.trash"
local types = require "apps.registry.types"
local usage = require "apps.registry.usage"
local verify = require "apps.registry.verify"

local ROOMS = {
  require "apps.registry.blobs",
  require "apps.registry.catalog",
  require "apps.registry.manifests",
  require "apps.registry.referrers",
  require "apps.registry.tags",
  require "apps.registry.uploads",
}

local OPTIONS = {
  store = { "table", needed = true },
  layout = "table",
  auth = "table",
  url = "string",
  allow = "function",
  immutable = "any",
  admit = "function",
  quota = "function",
  audit = "any",
  trash = "duration",
  uploads_expire = "any",
  on = { "table", default = {} },
  prefix = { "string", default = "/v2" },
  host = "any",
  http_secret = "string",
  shared = "boolean",
  sparse = "boolean",
  mirrors = { "table", default = {} },
  warn = "function",
  limits = { fields = limits.OPTIONS },
}

-- What f(…) returns; what it raises is said to be wrong where the registry is declared.
local function read(f, ...)
  local ok, value, second = pcall(f, ...)
  if not ok then error("registry: " .. value, 3) end
  return value, second
end

local function check_mirrors(mirrors)
  for host, repo in pairs(mirrors) do
    if type(host) ~= "string" or type(repo) ~= "string" or not names.is_repo(repo) then
      error(("registry: option 'mirrors': %s must be the name of a host, and %s of repositories")
        :format(tostring(host), tostring(repo)), 3)
    end
  end
end

local n_of = {} -- registries that were declared, by their ids

-- What the jobs of a registry are called: the same for every gateway with this script, and another
-- one for each of two that gate.serve is about to refuse.
local function job_name(id)
  n_of[id] = (n_of[id] or 0) + 1
  return gate.hash("sha256", id .. "|" .. n_of[id]):sub(1, 16)
end

local function ping() return reply(200, {}) end

local function check_who(o)
  if o.auth and type(o.auth.identify) ~= "function" then
    error("'auth' is no authenticator: it has no function 'identify'", 0)
  end
  if o.url and not o.url:find "^https?://[%w%.%-:%[%]_]+$" then
    error("'url' must be like \"https://registry.example.org\"", 0)
  end
end

return function(options)
  local o = check(options or {}, OPTIONS, "registry")
  read(events.check, o.on)
  read(check_who, o)
  read(handover.check, o.http_secret, o.prefix, o.layout)
  check_mirrors(o.mirrors)
  local who = o.auth or auth.anonymous
  local asks_for_token = who.passwords and who.everybody
  local layout = o.layout or require "layouts.distribution"
  local form, upload_form = read(forms.of, layout)
  if o.layout and gate.trial() then -- the workers need not have the code for it
    read(require("apps.registry.layouts").check, layout, o.store, form)
  end
  read(trash.check, o.trash, layout)
  local reg = {
    who = who,
    url = o.url,
    store = o.store,
    layout = layout, form = form, sessions = upload_form,
    allow = o.allow,
    admit = o.admit,
    quota = o.quota,
    audit = read(record.read, o.audit),
    immutable = read(immutable.read, o.immutable),
    trash = o.trash,
    uploads_expire = read(idle.read, o.uploads_expire, layout, upload_form),
    prefix = o.prefix,
    id = table.concat({ o.prefix, unpack(type(o.host) == "table" and o.host or { o.host }) }, "|"),
    emit = events.new(o.on),
    types = types.cache(),
    space = namespace.new(o.prefix),
    state_of = handover.new(o.http_secret),
    sparse = o.sparse,
    mirrors = o.mirrors, mirrored = next(o.mirrors) ~= nil,
    warn = o.warn,
    limits = limits.new(o.limits, o.prefix .. " " .. gate.json.encode { o.host }),
  }
  reg.name = job_name(reg.id)
  -- two registries in one place would each take the other's objects for its own
  read(reg.store.claim, reg.store, "the registry at " .. reg.prefix,
    { below = layout.root, shared = o.shared })
  if reg.quota and not form.owns then
    error("registry: 'quota' needs a layout in which repositories own their blobs", 2)
  elseif reg.quota and not (layout.linked and layout.layers and layout.revisions) then
    error("registry: 'quota' needs a layout with 'layers', 'revisions' and 'linked'", 2)
  end
  local app = gate.app { prefix = reg.prefix, host = o.host,
    on_error = errors(asks_for_token and token.challenge(reg) or who.challenge) }
  explain.about(app, reg)
  notices.add(app, reg)

  app:use(function(q)
    q.user = rawget(q, "user") or who.identify(q) or gate.fail(401, "UNAUTHORIZED", "who are you?")
    reg.limits:enter(q)
  end)

  if asks_for_token then token.routes(app) else app:get("/", ping) end
  for _, room in ipairs(ROOMS) do room.routes(app, reg) end
  if reg.layout.meaning then
    app:chore("verify", function(c) verify.run(c, reg) end)
    if form.owns then app:chore("usage", function(c) usage.run(c, reg) end) end
  end
  if reg.layout.trash then
    app:chore("trash", function(c) trash.list(c, reg) end)
    app:chore("restore", function(c) restore.run(c, reg) end)
  end
  trash.start(reg)
  idle.start(reg)
  return app
end
