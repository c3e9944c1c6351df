-- SPDX-License-Identifier: Apache-2.0
-- What busted prints: a line per spec file while it runs, the slow specs, each failure with its
-- file and line, and `N passed, N failed` as the last line (`, N skipped` where specs are pending).

local SLOW_S = 1.0
local SLOW_MAX = 10

local function write(format, ...)
  io.write(format:format(...))
  io.flush()
end

local function place(failure)
  local trace = failure.element.trace or failure.trace
  if not trace or not trace.short_src then return "?" end
  return trace.short_src .. ":" .. (trace.currentline or "?")
end

local function text(message)
  if type(message) == "string" then return message end
  return message == nil and "(no message)" or require("pl.pretty").write(message)
end

local function print_slow(slow)
  table.sort(slow, function(a, b) return a.seconds > b.seconds end)
  for i = 1, math.min(#slow, SLOW_MAX) do
    write("slow: %5.1f s  %s\n", slow[i].seconds, slow[i].name)
  end
end

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local slow, file = {}, nil

  local function failed()
    return handler.failuresCount + handler.errorsCount
  end

  function handler.fileStart(element)
    file = { passed = handler.successesCount, failed = failed(), start = busted.monotime() }
    write("%-48s", element.name)
    return nil, true
  end

  function handler.fileEnd()
    local bad = failed() - file.failed
    write("%5d passed%s %7.2f s\n", handler.successesCount - file.passed,
      bad > 0 and (", %d FAILED"):format(bad) or "", busted.monotime() - file.start)
    return nil, true
  end

  function handler.testEnd(element)
    local seconds = element.duration or 0
    if seconds > SLOW_S then
      slow[#slow + 1] = { seconds = seconds, name = handler.getFullName(element) }
    end
    return nil, true
  end

  function handler.suiteEnd()
    print_slow(slow)
    for _, pending in ipairs(handler.pendings) do
      write("skipped: %s: %s\n", pending.name, text(pending.message))
    end
    for _, list in ipairs { handler.failures, handler.errors } do
      for _, failure in ipairs(list) do
        write("\n%s: %s\n  %s\n", place(failure), failure.name,
          (text(failure.message):gsub("\n", "\n  ")))
      end
    end
    write("\n%d passed, %d failed%s\n", handler.successesCount, failed(),
      handler.pendingsCount > 0 and (", %d skipped"):format(handler.pendingsCount) or "")
    return nil, true
  end

  busted.subscribe({ "file", "start" }, handler.fileStart)
  busted.subscribe({ "file", "end" }, handler.fileEnd)
  busted.subscribe({ "test", "end" }, handler.testEnd, { predicate = handler.cancelOnPending })
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
