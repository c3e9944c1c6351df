-- SPDX-License-Identifier: Apache-2.0
-- The servers that are measured: each on a free port of 127.0.0.1 with a folder of its own, as a
-- child of this process, with two workers and no access log.

local socket = require "socket"
local http = require "socket.http"

local READY_S = 10

local M = {}
local running = {}

local function free_port()
  local s = assert(socket.bind("127.0.0.1", 0))
  local _, port = s:getsockname()
  s:close()
  return tonumber(port)
end

local function write_file(path, text)
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
end

local NGINX = [[
daemon off; user USER; worker_processes 2; pid DIR/pid; error_log DIR/error.log;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  client_body_temp_path DIR; proxy_temp_path DIR; fastcgi_temp_path DIR;
  uwsgi_temp_path DIR; scgi_temp_path DIR;
  server {
    listen 127.0.0.1:PORT; listen 127.0.0.1:SECURE ssl; root DIR/www;
    ssl_certificate CERT; ssl_certificate_key KEY; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_conf_command Options KTLS;
  }
}
]]

local REGISTRY = [[
version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: DATA } }
http: { addr: "127.0.0.1:PORT" }
]]

-- nginx's workers run as whoever measures: the folders may be closed to others
local user = assert(io.popen "echo $(id -un) $(id -gn)"):read "*l"

local function fill_in(template, s)
  return (template:gsub("%u%u%u+", { DIR = s.dir, DATA = s.data, PORT = s.port, USER = user,
    SECURE = s.tls_port, CERT = s.cert, KEY = s.key }))
end

-- one for all, with the key that takes the least work
local function certificate(top)
  local cert, key = top .. "/cert.pem", top .. "/key.pem"
  if not io.open(cert) then
    assert(os.execute(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
      .. "-days 30 -subj /CN=bench -addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s "
      .. "2>/dev/null")
      :format(key, cert)) == 0)
  end
  return cert, key
end

-- each makes its configuration in s.dir and returns the command; s.dir holds no space
local kinds = {}

function kinds.nginx(s)
  write_file(s.dir .. "/conf", fill_in(NGINX, s))
  return ("exec nginx -e %s/error.log -c %s/conf"):format(s.dir, s.dir)
end

kinds["docker-registry"] = function(s)
  write_file(s.dir .. "/conf", fill_in(REGISTRY, s))
  return ("exec docker-registry serve %s/conf"):format(s.dir)
end

local function tidegate(durability, more)
  return function(s)
    return ("exec env TIDEGATE_LISTEN=127.0.0.1:%d TIDEGATE_DATA=%s DURABILITY=%s "
      .. "LISTEN_TLS=127.0.0.1:%d TLS_CERT=%s TLS_KEY=%s %s %s serve "
      .. "spec/bench/registry.lua"):format(s.port, s.data, durability, s.tls_port, s.cert, s.key,
      more or "",
      os.getenv "TIDEGATE_BIN" or "build/tidegate")
  end
end

kinds["tidegate sync"] = tidegate "sync"
kinds["tidegate async"] = tidegate "async"
kinds["tidegate hook"] = tidegate("sync", "HOOK=1")

local function read_file(path)
  local f = io.open(path)
  local text = f and f:read "*a" or ""
  if f then f:close() end
  return text
end

local function await(s)
  local path = s.kind == "nginx" and "/ready" or "/v2/"
  local deadline = socket.gettime() + READY_S
  repeat
    local _, status = http.request(("http://127.0.0.1:%d%s"):format(s.port, path))
    if status == 200 then return end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  error(s.kind .. " does not answer:\n" .. read_file(s.dir .. "/log"))
end

-- starts a server of that kind with an empty folder below `top`, or on a registry's folder that is
-- there; waits until it answers
function M.start(kind, top, data)
  local s = { kind = kind, port = free_port(), tls_port = free_port(),
    dir = ("%s/%d"):format(top, #running + 1) }
  s.data = data or s.dir .. "/data"
  s.cert, s.key = certificate(top)
  running[#running + 1] = s
  assert(os.execute(("mkdir -p %s/data %s/www"):format(s.dir, s.dir)) == 0)
  write_file(s.dir .. "/www/ready", "ready\n")
  local command = kinds[kind](s)
  s.process = assert(io.popen(("echo $$; exec >%s/log 2>&1; %s"):format(s.dir, command)))
  s.pid = assert(tonumber(s.process:read "*l"))
  await(s)
  return s
end

-- stops it and removes its folder
function M.stop(s)
  if s.process then
    os.execute(("kill %d 2>/dev/null"):format(s.pid))
    s.process:close()
    s.process = nil
  end
  os.execute("rm -rf " .. s.dir)
end

function M.stop_all()
  for _, s in ipairs(running) do M.stop(s) end
end

-- memory in bytes: "VmRSS" now, "VmHWM" the most there was
function M.memory(s, name)
  local status = read_file(("/proc/%d/status"):format(s.pid))
  return tonumber(status:match(name .. ":%s+(%d+) kB")) * 1024
end

return M
