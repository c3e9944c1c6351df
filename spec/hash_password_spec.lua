-- SPDX-License-Identifier: Apache-2.0
--
-- `tidegate hash-password`: from a pipe, and at a terminal that shows nothing.
local fcntl = require "posix.fcntl"
local poll = require "posix.poll"
local signal = require "posix.signal"
local stdlib = require "posix.stdlib"
local tool = require "spec.tool"
local unistd = require "posix.unistd"
local users = require "spec.users"
local wait = require "posix.sys.wait"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"

local function hash(input, arguments)
  return tool.run(("printf %s | %s hash-password %s"):format(tool.quote(input), PROGRAM,
    arguments or ""))
end

describe("tidegate hash-password", function()
  it("prints a line for a file of users, which then lets them in", function()
    local ok, out = hash("secret\nmore", "ann")
    assert.is_true(ok)
    assert.truthy(out:find "^ann:%$2b%$10%$[%w./]+\n$", out)
    local g = users.start([[
      local gate = require "tidegate"
      local who = require("auth").htpasswd "users"
      gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 1 }
      gate.serve { gate.app {}:get("/", function(q)
        return gate.reply(200, who.identify(q).name)
      end) }]], { users = out })
    assert.equal("ann", g:request("GET", "/", users.as("ann", "secret")).body)
    assert.equal(401, g:request("GET", "/", users.as("ann", "secret\nmore")).status)
    users.stop(g)
  end)

  it("takes a cost, and needs no user", function()
    local ok, out = hash("secret", "--cost 4")
    assert.is_true(ok)
    assert.truthy(out:find "^%$2b%$04%$[%w./]+\n$", out)
    assert.equal(60, #out - 1)
    ok, out = hash("secret", "--cost 5 bob")
    assert.is_true(ok)
    assert.truthy(out:find "^bob:%$2b%$05%$", out)
  end)

  for _, case in ipairs {
    { "", "ann", "a password is not empty" },
    { "a\\0b", "ann", "holds no NUL" },
    { ("x"):rep(73), "ann", "bcrypt looks at 72 bytes only" },
    { ("x"):rep(9000), "ann", "bcrypt looks at 72 bytes only" },
    { "x", "a:b", "holds no colon" },
    { "x", "'#ann'", "would be a comment" },
    { "x", "''", "1 to 255 bytes" },
    { "x", "--cost 3", "usage: tidegate hash-password" },
    { "x", "--cost 16", "usage: tidegate hash-password" },
    { "x", "--cost", "usage: tidegate hash-password" },
    { "x", "ann bob", "usage: tidegate hash-password" },
    { "x", "--coast 5", "usage: tidegate hash-password" },
  } do
    it(("refuses %s: %s"):format(case[2], case[3]), function()
      local ok, out = hash(case[1], case[2])
      assert.is_false(ok)
      assert.truthy(out:find(case[3], 1, true), out)
    end)
  end

  -- Runs it at a terminal of its own and types the lines, each when it is asked for; returns the
  -- exit code and all that the terminal has shown.
  local function at_terminal(lines)
    local master = assert(stdlib.openpt(fcntl.O_RDWR + fcntl.O_NOCTTY))
    assert(stdlib.grantpt(master))
    assert(stdlib.unlockpt(master))
    local name = stdlib.ptsname(master)
    local pid = unistd.fork()
    if pid == 0 then
      unistd.setpid("s")
      local fd = fcntl.open(name, fcntl.O_RDWR)
      for target = 0, 2 do unistd.dup2(fd, target) end
      unistd.close(master)
      unistd.execp(PROGRAM, { "hash-password", "--cost", "4", "ann" })
      unistd._exit(127)
    end
    local shown, asked = "", 0
    while true do
      if poll.rpoll(master, 20000) ~= 1 then
        signal.kill(pid, signal.SIGKILL) -- it says nothing more
        break
      end
      local text = unistd.read(master, 4096)
      if not text or text == "" then break end
      shown = shown .. text
      local _, n = shown:gsub(": ", "")
      while asked < n and lines[asked + 1] do
        asked = asked + 1
        unistd.write(master, lines[asked])
      end
    end
    local _, _, code = wait.wait(pid)
    unistd.close(master)
    return code, shown
  end

  it("asks twice at a terminal, and shows nothing of it", function()
    local code, shown = at_terminal { "s3cret\n", "s3cret\n" }
    assert.equal(0, code)
    assert.truthy(shown:find "ann:%$2b%$04%$[%w./]+\r\n", shown)
    assert.falsy(shown:find("s3cret", 1, true), shown)
  end)

  it("refuses two that differ", function()
    local code, shown = at_terminal { "s3cret\n", "s3crat\n" }
    assert.equal(1, code)
    assert.truthy(shown:find("the two are not the same", 1, true), shown)
  end)

  it("leaves at Ctrl-C", function()
    if tool.sanitizer == "threads" then
      pending "ThreadSanitizer holds signals back while a thread waits in read"
    end
    local code, shown = at_terminal { "s3c\3" }
    assert.equal(2, code) -- the number of the signal
    assert.falsy(shown:find("s3c", 1, true), shown)
  end)
end)
