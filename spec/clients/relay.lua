-- SPDX-License-Identifier: Apache-2.0
--
-- luajit spec/clients/relay.lua HOST PORT [BYTES]: relays connections to a server. With BYTES it
-- cuts one of them, the first that has brought so many from it. It is also a proxy for TLS: who
-- begins with CONNECT gets to that server, whatever name he asks for. It prints where it listens,
-- when it cuts, and every "Range" that passes.
local socket = require "socket"

local HOST, PORT, BYTES = arg[1], tonumber(arg[2]), tonumber(arg[3] or math.huge)
local PIECE = 16384

-- socket -> { other end, is it the server, bytes it brought, has it said something }
local pairs_of = {}
local done = false -- it has cut

local function say(format, ...)
  io.write(format:format(...), "\n")
  io.flush()
end

local function close(s)
  local other = pairs_of[s].other
  pairs_of[s], pairs_of[other] = nil, nil
  s:close()
  other:close()
end

local function join(client)
  local server = assert(socket.connect(HOST, PORT))
  client:settimeout(0)
  server:settimeout(0)
  pairs_of[client] = { other = server, bytes = 0 }
  pairs_of[server] = { other = client, bytes = 0, server = true }
end

-- Sends all of it; the other side is on this machine and reads.
local function pass(to, text)
  to:settimeout(20)
  local ok = to:send(text)
  to:settimeout(0)
  return ok
end

-- What a client said, without the head that is for a proxy.
local function heard(client, text)
  local it = pairs_of[client]
  local rest = not it.begun and text:match("^CONNECT .-\r\n\r\n(.*)$")
  it.begun = true
  if rest then
    pass(client, "HTTP/1.1 200 Connected\r\n\r\n")
    text = rest
  end
  local range = text:match("[Rr]ange: (bytes=[^\r\n]*)")
  if range then say("range %s", range) end
  return text
end

local function relay(s)
  local it = pairs_of[s]
  local text, why, part = s:receive(PIECE)
  text = text or part
  it.bytes = it.bytes + #text
  if not it.server then
    text = heard(s, text)
  elseif not done and it.bytes >= BYTES then
    done = true
    pass(it.other, text)
    say("cut after %d", it.bytes)
    return close(s)
  end
  if #text > 0 and not pass(it.other, text) or why == "closed" then close(s) end
end

local listener = assert(socket.bind("127.0.0.1", 0))
say("listening on %s:%d", listener:getsockname())
while true do
  local all = { listener }
  for s in pairs(pairs_of) do all[#all + 1] = s end
  for _, s in ipairs((socket.select(all))) do
    if s == listener then
      join(listener:accept())
    elseif pairs_of[s] then
      relay(s)
    end
  end
end
