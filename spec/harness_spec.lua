-- SPDX-License-Identifier: Apache-2.0
-- What the specs rely on: that a fault makes them fail. The cases of spec/unit/fault.c and the
-- servers below are wrong on purpose.
local gateway = require "spec.gateway"
local tool = require "spec.tool"

local UNIT = os.getenv "UNIT_BIN" or "build/unit"

-- Without the options that send reports to files: here they are wanted in the output.
local ALONE = "env -u ASAN_OPTIONS -u UBSAN_OPTIONS -u TSAN_OPTIONS "

-- name, what must be said, and the sanitizer that says it
local FAULTS = {
  { "a descriptor stays open", "1 descriptors leaked" },
  { "a thread runs on", "1 threads leaked" },
  { "a timer stays on its worker", "Assertion `event_base_get_num_events" },
  { "a call stays in its worker's queue", "Assertion `is_idle" },
  { "memory is lost", "LeakSanitizer: detected memory leaks", "memory" },
  { "a freed byte is read", "AddressSanitizer: heap-use-after-free", "memory" },
  { "a number overflows", "runtime error: signed integer overflow", "memory" },
  { "two threads write one place", "ThreadSanitizer: data race", "threads" },
}

-- A server that seems to start, and at SIGTERM says its last words and ends.
local function dying(last_words)
  local script = "trap '%s' TERM; echo listening on 127.0.0.1:1; while :; do sleep 0.01; done"
  local g = gateway.spawn { command = { "sh", "-c", script:format(last_words) } }
  g.strict = true
  return g
end

describe("the harness", function()
  for _, fault in ipairs(FAULTS) do
    local name, says, sanitizer = unpack(fault)
    if not sanitizer or sanitizer == tool.sanitizer then
      it("notices when " .. name, function()
        local ok, out = tool.run(ALONE .. tool.quote(UNIT) .. " --run "
          .. tool.quote("fault: " .. name))
        assert.is_false(ok, out)
        assert.truthy(out:find(says, 1, true), out)
      end)
    end
  end

  it("keeps what is wrong on purpose out of the list", function()
    assert.is_nil(("\n" .. tool.must(tool.quote(UNIT) .. " --list")):find("\nfault: ", 1, true))
  end)

  it("fails a gateway that ends badly or says that something is wrong", function()
    for last_words, says in pairs {
      ["exit 3"] = "the gateway exited 3",
      ["trap - ABRT; kill -ABRT $$"] = "the gateway killed 6",
      ["echo tidegate: 2 descriptors leaked; exit 0"] = "the log holds a fault",
      ["echo ERROR: AddressSanitizer: stack-overflow; exit 0"] = "the log holds a fault",
      ["echo WARNING: ThreadSanitizer: data race; exit 0"] = "the log holds a fault",
      ["echo x.c:1:2: runtime error: signed integer overflow; exit 0"] = "the log holds a fault",
    } do
      local g = dying(last_words)
      local ok, why = pcall(g.stop, g)
      assert.is_false(ok, last_words)
      assert.truthy(why:find(says, 1, true), why)
    end
    dying("exit 0"):stop()
  end)

  it("knows the servers that nobody has stopped", function()
    local g = dying("exit 0")
    assert.same({ g }, gateway.alive())
    g:stop()
    assert.same({}, gateway.alive())
  end)
end)
