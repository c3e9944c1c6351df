-- SPDX-License-Identifier: Apache-2.0
--
-- HTTP/1.1 as the specs speak it: on purpose a client without opinions. It sends exactly what
-- it is told, well-formed or not, and shows exactly what came back.
local socket = require "socket"
local ssl = require "ssl"

local PATIENCE_S = 20

local M = {}

local connection = {}
connection.__index = connection

-- A connection to host and port: `send`, `read_reply` and `close`, as often as wanted. With tls it
-- is one after a handshake, or nil and why that failed:
--   ca      file of who signed the server's certificate; none: any is taken
--   name    to ask for (SNI)       cert, key   files to show       version   "tlsv1_2", "tlsv1_3"
function M.connect(host, port, tls)
  local s = assert(socket.tcp())
  s:settimeout(PATIENCE_S)
  assert(s:connect(host, port))
  s:setoption("tcp-nodelay", true)
  local c = setmetatable({ socket = s }, connection)
  if tls then return c:secure(tls) end
  return c
end

-- Begins TLS on it.
function connection:secure(tls)
  local s = assert(ssl.wrap(self.socket, { mode = "client", protocol = tls.version or "any",
    cafile = tls.ca, verify = tls.ca and "peer" or "none", certificate = tls.cert, key = tls.key }))
  s:settimeout(PATIENCE_S)
  if tls.name then s:sni(tls.name) end
  self.socket = s
  local ok, why = s:dohandshake()
  if not ok then
    s:close()
    return nil, why
  end
  return self
end

-- Sends text. False when the peer has closed already: it may refuse before the body is sent.
function connection:send(text)
  local sent, why = self.socket:send(text)
  return sent ~= nil, why
end

function connection:close()
  self.socket:close()
end

-- Does the peer close now, without a further byte?
function connection:ended()
  local byte, why = self.socket:receive(1)
  return byte == nil and why == "closed"
end

local function read_chunks(s)
  local parts = {}
  while true do
    local size = tonumber(assert(s:receive("*l")):match("^%x+"), 16)
    if size > 0 then parts[#parts + 1] = assert(s:receive(size)) end
    assert(s:receive("*l") == "", "a chunk does not end where it says")
    if size == 0 then return table.concat(parts) end
  end
end

local function read_headers(s)
  local headers, lines = {}, {}
  while true do
    local line = assert(s:receive("*l"))
    if line == "" then return headers, lines end
    local name, value = line:match("^([^:]+):%s*(.-)%s*$")
    assert(name, "not a header: " .. line)
    lines[#lines + 1] = name
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
end

local function read_body(s, reply, method)
  local no_body = method == "HEAD" or reply.status == 204 or reply.status == 304
  if no_body then return "" end
  if reply.headers["transfer-encoding"] then return read_chunks(s) end
  local length = tonumber(reply.headers["content-length"])
  if length == 0 then return "" end
  return (assert(s:receive(length or "*a")))
end

-- The next final reply: { status, headers, header(name), count(name), body, continued }; `count`
-- tells how many lines of that name there were. nil and a reason when the peer closed before it.
-- `method` says whether a body is to be expected.
function connection:read_reply(method)
  local continued = false
  while true do
    local line, why = self.socket:receive("*l")
    if not line then return nil, why end
    local status = tonumber(line:match("^HTTP/1%.1 (%d%d%d) "))
    assert(status, "not a status line: " .. line)
    local headers, lines = read_headers(self.socket)
    if status == 100 then
      continued = true
    else
      local reply = { status = status, headers = headers, continued = continued }
      function reply.header(name) return headers[name:lower()] end
      function reply.count(name)
        local n = 0
        for _, given in ipairs(lines) do
          if given:lower() == name:lower() then n = n + 1 end
        end
        return n
      end
      reply.body = read_body(self.socket, reply, method)
      return reply
    end
  end
end

-- The text of a request head. Host, and Content-Length or Transfer-Encoding for a body, are put
-- in unless they are given; `false` leaves one out.
function M.head(method, path, options)
  local given, lines = {}, { ("%s %s HTTP/1.1"):format(method, path) }
  for name, value in pairs(options.headers or {}) do
    given[name:lower()] = true
    for _, v in ipairs(type(value) == "table" and value or { value or nil }) do
      lines[#lines + 1] = ("%s: %s"):format(name, v)
    end
  end
  local function default(name, value)
    if not given[name:lower()] then lines[#lines + 1] = ("%s: %s"):format(name, value) end
  end
  default("Host", "gateway")
  if options.chunked then
    default("Transfer-Encoding", "chunked")
  elseif options.body or method == "POST" or method == "PUT" or method == "PATCH" then
    default("Content-Length", #(options.body or ""))
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- The bytes of a chunked body made of these pieces.
function M.chunks(pieces)
  local out = {}
  for _, piece in ipairs(pieces) do
    out[#out + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
  end
  return table.concat(out) .. "0\r\n\r\n"
end

-- One request on this connection, and its reply.
--   headers   by name; a list sends the line several times, false none
--   body      a string          chunked   a list of strings, sent as chunks
function connection:request(method, path, options)
  options = options or {}
  local body = options.chunked and M.chunks(options.chunked) or options.body or ""
  self:send(M.head(method, path, options) .. body)
  return assert(self:read_reply(method))
end

return M
