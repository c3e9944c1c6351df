-- SPDX-License-Identifier: Apache-2.0
--
-- A running gateway for a spec: it serves a script from a folder of its own, and nothing of it
-- is left afterwards. The program is build/tidegate, or what TIDEGATE_BIN names, so that the
-- build with sanitizers runs the same specs.
--
--   local g = gateway.start { script = [[ … ]] }     local reply = g:request("GET", "/v2/")
--   local g = gateway.start { path = "examples/registry.lua", data = folder }        g:stop()
local busted = require "busted"
local fcntl = require "posix.fcntl"
local json = require "dkjson"
local lfs = require "lfs"
local signal = require "posix.signal"
local socket = require "socket"
local stdlib = require "posix.stdlib"
local tool = require "spec.tool"
local unistd = require "posix.unistd"
local wait = require "posix.sys.wait"
local wire = require "spec.wire"

local PROGRAM = os.getenv("TIDEGATE_BIN") or "build/tidegate"
local HIGH_FD = 200 -- nothing of a spec has so many
local READY_S, STOP_S = 20, 30
local LISTENING = "listening on h?t?t?p?s?:?/?/?([%d.]+):(%d+)"

local M = {}

local server = {}
server.__index = server

local running = {} -- by pid

-- The servers that run now, in the order of their pids.
function M.alive()
  local list = {}
  for _, s in pairs(running) do list[#list + 1] = s end
  table.sort(list, function(a, b) return a.pid < b.pid end)
  return list
end

-- How a server ends is a part of every spec: one that was forgotten was not looked at.
busted.subscribe({ "file", "end" }, function(element)
  for _, s in ipairs(M.alive()) do
    s:kill()
    busted.publish({ "error", "file" }, element, nil, "a server was not stopped", {})
  end
  return nil, true
end)

-- Hands sockets on as a service manager does: from descriptor 3 on.
local function hand_on(sockets)
  local out_of_the_way = {}
  for i, fd in ipairs(sockets) do
    out_of_the_way[i] = assert(fcntl.fcntl(fd, fcntl.F_DUPFD, HIGH_FD))
  end
  for i, fd in ipairs(out_of_the_way) do
    unistd.dup2(fd, 2 + i)
    unistd.close(fd)
  end
  stdlib.setenv("LISTEN_FDS", tostring(#sockets))
  stdlib.setenv("LISTEN_PID", tostring(unistd.getpid()))
end

local function spawn(command, env, log, sockets)
  local pid = assert(unistd.fork())
  if pid > 0 then return pid end
  if sockets then hand_on(sockets) end
  local fd = fcntl.open(log, fcntl.O_WRONLY + fcntl.O_CREAT + fcntl.O_APPEND, 384)
  unistd.dup2(fd, 1)
  unistd.dup2(fd, 2)
  unistd.close(fd)
  for name, value in pairs(env) do stdlib.setenv(name, value) end
  local _, why = unistd.execp(command[1], { unpack(command, 2) })
  io.stderr:write(("cannot run %s: %s\n"):format(command[1], why))
  unistd._exit(127)
end

-- Calls f every few milliseconds until it returns something, for so many seconds.
local function poll(seconds, f)
  local deadline = socket.gettime() + seconds
  repeat
    local found = f()
    if found then return found end
    socket.sleep(0.003)
  until socket.gettime() > deadline
  return nil
end

-- "12 exited 0", once it has ended; it can be asked again.
function server:ended()
  if not self.end_ then
    local pid, how, code = wait.wait(self.pid, wait.WNOHANG)
    if pid == self.pid then self.end_ = { how = how, code = code } end
  end
  return self.end_
end

-- Waits until it has ended by itself, after a signal.
function server:wait()
  return poll(STOP_S, function() return self:ended() end)
end

local function listens(self)
  self.host, self.port = self:log():match(LISTENING)
  self.address = self.port and self.host .. ":" .. self.port
  return self.port ~= nil
end

-- Starts any server that prints where it listens.
--   command   program and arguments        env    variables for it
--   folder    where its log goes; a new one by default. It is removed at stop
--   sockets   descriptors to hand on as a service manager does
--   ready     instead, a function of the server that says whether it can be used now
function M.spawn(options)
  local self = setmetatable({ folder = options.folder or tool.tmpdir() }, server)
  self.log_path = self.folder .. "/log"
  self.pid = spawn(options.command, options.env or {}, self.log_path, options.sockets)
  running[self.pid] = self
  local is_ready = options.ready or listens
  poll(READY_S, function() return is_ready(self) or self:ended() end)
  if self.end_ or not is_ready(self) then
    local log = self:log()
    self:kill()
    error("the server did not start:\n" .. log, 2)
  end
  return self
end

-- Starts a gateway.
--   script   the text of the script, or  path  a file
--   data     TIDEGATE_DATA: a folder to keep; else one that goes at stop
--   env      further variables
--   user     for --user
--   sockets  as for spawn
--   program  another one than the build's
function M.start(options)
  local folder = tool.tmpdir()
  local path = options.path or folder .. "/gateway.lua"
  if options.script then tool.write(path, options.script) end
  local env = {
    TIDEGATE_LISTEN = "127.0.0.1:0",
    TIDEGATE_DATA = options.data or folder .. "/data",
  }
  for name, value in pairs(options.env or {}) do env[name] = value end
  local program = options.program or PROGRAM
  local command = { program, "serve", path }
  if options.user then command = { program, "serve", "--user", options.user, path } end
  local self = M.spawn {
    command = command,
    env = env,
    folder = folder,
    sockets = options.sockets,
  }
  self.data = env.TIDEGATE_DATA
  self.path, self.env, self.program = path, env, program
  self.strict = true
  return self
end

-- What `tidegate check` says of a script, gateway.lua, with these files beside it (name -> text).
function M.check(script, files)
  local folder = tool.tmpdir()
  for name, text in pairs(files or {}) do tool.write(folder .. "/" .. name, text) end
  tool.write(folder .. "/gateway.lua", script)
  local ok, out = tool.run(PROGRAM .. " check " .. folder .. "/gateway.lua")
  tool.remove(folder)
  return ok, out
end

-- A script of which this is the second line must be refused, there, with the message.
function M.refuses(line, message)
  local ok, out = M.check(('local gate = require "tidegate"\n%s\ngate.serve { gate.health "/" }\n')
    :format(line))
  assert(not ok and out:find(message, 1, true) and out:find("gateway.lua:2:", 1, true), out)
end

function server:log()
  return tool.read(self.log_path) or ""
end

-- Waits until the log holds text that matches the pattern; returns the match.
function server:logged(pattern)
  return poll(READY_S, function() return self:log():match(pattern) end)
end

-- Replaces the script's text; nothing of it is in effect before a reload.
function server:rewrite(text)
  tool.write(self.path, text)
end

-- Runs a command that talks to it, such as "reload"; returns whether it ended with 0, and what
-- it printed.
function server:command(command)
  local words = {}
  for name, value in pairs(self.env) do
    words[#words + 1] = name .. "=" .. tool.quote(value)
  end
  return tool.run(("env %s %s %s"):format(table.concat(words, " "), self.program, command))
end

-- The JSON of "status" or "tasks".
function server:tell(command)
  local ok, out = self:command(command .. " --json")
  assert(ok, out)
  return (assert(json.decode(out)))
end

function server:signal(number)
  signal.kill(self.pid, number)
end

-- The files of the data folder, or of a folder below it.
function server:files(below)
  local root = self.data .. (below and "/" .. below or "")
  return lfs.attributes(root, "mode") == "directory" and tool.files(root) or {}
end

-- Waits until the data folder holds exactly what the function accepts: for what a server does
-- after its client has left.
function server:settles(accept)
  return poll(READY_S, function() return accept(self:files()) end) ~= nil
end

-- A connection: spec/wire.lua says what it can do, and what `tls` is.
function server:raw(tls)
  return wire.connect(self.host, tonumber(self.port), tls)
end

-- One request on a connection of its own.
function server:request(method, path, options)
  local c = self:raw(options and options.tls)
  local reply = c:request(method, path, options)
  c:close()
  return reply
end

-- How many descriptors the process has open now.
function server:descriptors()
  local n = 0
  for _ in lfs.dir(("/proc/%d/fd"):format(self.pid)) do n = n + 1 end
  return n
end

-- Waits until no more descriptors are open than `before`; closed connections take a moment.
function server:keeps(before)
  return poll(READY_S, function() return self:descriptors() <= before end) ~= nil
end

function server:kill()
  if not self:ended() then
    signal.kill(self.pid, signal.SIGKILL)
    wait.wait(self.pid)
  end
  running[self.pid] = nil
  tool.remove(self.folder)
end

-- Ends it politely. A gateway has to end with 0, and with a log that names no memory fault and
-- nothing that was left behind.
function server:stop()
  if not self:ended() then signal.kill(self.pid, signal.SIGTERM) end
  poll(STOP_S, function() return self:ended() end)
  local ended, log = self.end_, self:log()
  self:kill()
  if not self.strict then return end
  assert(ended, "the gateway did not stop:\n" .. log)
  assert(ended.how == "exited" and ended.code == 0,
    ("the gateway %s %d:\n%s"):format(ended.how, ended.code, log))
  for _, bad in ipairs { "Sanitizer", "runtime error:", "leaked" } do
    assert(not log:find(bad, 1, true), "the log holds a fault:\n" .. log)
  end
end

return M
