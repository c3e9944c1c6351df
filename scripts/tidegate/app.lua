-- SPDX-License-Identifier: Apache-2.0
--
-- Applications: a prefix, its routes, its hooks.
local check = require("tidegate.check").check
local closed = require "tidegate.closed"
local config = require "tidegate.config"
local reply = require "tidegate.reply"
local router = require "tidegate.router"

local M = {}

local APP = { prefix = { "string", default = "" }, host = "any", on_error = "function" }

local CHORES = { verify = true, usage = true, trash = true, restore = true }

local App = closed({}, "an application")
App.__index = App

local function is_host(name)
  return type(name) == "string" and name:find "^%*?[%w.-]+$" ~= nil
    and (name:sub(1, 1) ~= "*" or name:sub(2, 2) == ".")
end

-- One name or a list of them as a list in lower case.
local function hosts_of(host)
  local list = {}
  for i, name in ipairs(type(host) == "table" and host or { host }) do
    list[i] = is_host(name) and name:lower() or nil
  end
  if #list == 0 or type(host) == "table" and #list ~= #host then
    error("gate.app: 'host' must be a name such as \"ci.example.org\" or \"*.example.org\", "
      .. "or a list of them", 3)
  end
  return list
end

function M.new(options)
  local o = check(options or {}, APP, "gate.app")
  if o.prefix ~= "" and not o.prefix:find("^/[^{}]*[^/{}]$") then
    error("gate.app: 'prefix' must begin with / and not end with one", 2)
  end
  local hosts = o.host ~= nil and hosts_of(o.host) or nil
  config.close()
  return setmetatable({ prefix = o.prefix, hosts = hosts or false,
    on_error = o.on_error or false, router = router.new(), hooks = {}, later = {},
    explanations = {}, chores = {} }, App)
end

function M.is(value)
  return getmetatable(value) == App
end

for _, method in ipairs { "GET", "PUT", "POST", "PATCH", "DELETE", "HEAD" } do
  App[method:lower()] = function(self, pattern, handler)
    if type(handler) ~= "function" then
      error(("app:%s: the handler must be a function"):format(method:lower()), 2)
    end
    local ok, wrong = pcall(self.router.add, self.router, method, pattern, handler)
    if not ok then
      error(("app:%s: %s"):format(method:lower(), tostring(wrong)), 2)
    end
    return self
  end
end

-- The methods that keep a function in a list of the application.
for verb, list in pairs { use = "hooks", after = "later", explain = "explanations" } do
  App[verb] = function(self, hook)
    if type(hook) ~= "function" then
      error(("app:%s: the hook must be a function"):format(verb), 2)
    end
    local hooks = self[list]
    hooks[#hooks + 1] = hook
    return self
  end
end

-- f(c) does the work of `tidegate NAME` on what the application keeps; see tidegate.chores.
function App:chore(name, f)
  if not CHORES[name] or type(f) ~= "function" then
    error('app:chore: "verify", "usage", "trash" or "restore" is expected, and a function', 2)
  end
  self.chores[name] = f
  return self
end

-- An application that answers 200 "ok".
function M.health(path)
  if type(path) ~= "string" then
    error("gate.health: a path is expected", 2)
  end
  local app = M.new { prefix = path }
  return app:get("/", function()
    return reply.new(200, "ok\n", { ["Content-Type"] = "text/plain" })
  end)
end

return M
