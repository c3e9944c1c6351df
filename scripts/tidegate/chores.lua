-- SPDX-License-Identifier: Apache-2.0
--
-- `tidegate verify`, `usage`, `trash` and `restore`: work on what is stored, by what the script's
-- applications have said with app:chore(name, f). They are called one after the other as f(c):
--
--   c.options          from, rate, repo, what, at, force, by: what it was told, read
--   c:found(what, t)   a fault, and the fields that say which; the command then ends with 1
--   c:count(name)      one more of these; the counts are part of the progress and of the end
--   c:moved(n)         n bytes were read; waits as long as the rate demands
--   c:at(key)          everything up to this key is done: where a later run may go on
--   c:table(columns, rows)  a result; rows are tables by column
local core = require "tidegate.core"
local err = require "tidegate.error"
local json = require "tidegate.json"
local serve = require "tidegate.serve"
local units = require "tidegate.units"

local M = {}

local TERMINAL_S, LINES_S = 0.2, 10 -- between two signs of progress

local Chore = {}
Chore.__index = Chore

local BY = { repo = true, folder = true } -- what --by can say
local UNITS = { "KiB", "MiB", "GiB", "TiB" }

local function human(n)
  local unit = "bytes"
  for _, next_unit in ipairs(UNITS) do
    if n < 1024 then break end
    n, unit = n / 1024, next_unit
  end
  return (unit == "bytes" and "%d %s" or "%.1f %s"):format(n, unit)
end

-- The fields in the order of their names, as key=value.
local function line_of(fields)
  local names, out = {}, {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do out[i] = ("%s=%s"):format(name, fields[name]) end
  return table.concat(out, " ")
end

function Chore:summary()
  local names, out = {}, {}
  for name in pairs(self.counts) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do out[i] = ("%d %s"):format(self.counts[name], name) end
  if self.bytes > 0 then
    local seconds = math.max(core.now() - self.began, 0.001)
    out[#out + 1] = ("%s, %s/s"):format(human(self.bytes), human(self.bytes / seconds))
  end
  out[#out + 1] = ("%d faults"):format(self.faults)
  return table.concat(out, ", ")
end

-- A word on how far it is, not too often.
function Chore:progress()
  local now = core.now()
  if now < self.due then return end
  self.due = now + (self.terminal and TERMINAL_S or LINES_S)
  local text = ("%s: %s"):format(self.name, self:summary())
  if self.terminal then
    core.print(("\r\27[K%s"):format(text), true)
  else
    core.print(("%s; done to %s\n"):format(text, self.done or "-"), true)
  end
end

local function clear(c)
  if c.terminal then core.print("\r\27[K", true) end
end

function Chore:found(what, fields)
  self.faults = self.faults + 1
  clear(self)
  if self.json then
    local record = { fault = what }
    for name, value in pairs(fields) do record[name] = value end
    core.print(json.encode(record) .. "\n")
  else
    core.print(("%s: %s\n"):format(what, line_of(fields)))
  end
end

function Chore:count(name)
  self.counts[name] = (self.counts[name] or 0) + 1
end

function Chore:moved(n)
  self.bytes = self.bytes + n
  self:progress()
  local rate = self.options.rate
  local early = rate and self.began + self.bytes / rate - core.now() or 0
  if early > 0 then err.check(core.result(core.sleep(early))) end
end

function Chore:at(key)
  self.done = key or self.done
  self:progress()
end

function Chore:table(columns, rows)
  clear(self)
  if self.json then
    for _, row in ipairs(rows) do core.print(json.encode(row) .. "\n") end
    return
  end
  local widths = {}
  for i, column in ipairs(columns) do
    widths[i] = #column
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], #tostring(row[column])) end
  end
  local function print_row(cell)
    local cells = {}
    for i, column in ipairs(columns) do
      local text = tostring(cell(column))
      local pad = (" "):rep(widths[i] - #text)
      cells[i] = i == 1 and text .. pad or pad .. text
    end
    core.print((table.concat(cells, "  "):gsub("%s+$", "")) .. "\n")
  end
  print_row(function(column) return column end)
  for _, row in ipairs(rows) do
    print_row(function(column) return row[column] end)
  end
end

-- What the command line says, in the order of core/command/chores.c.
local function read_arguments()
  local name, is_json, terminal, rate, from, repo, what, at, force, by = unpack(core.arguments())
  local function given(text) return text ~= "" and text or nil end
  local options = { from = given(from), repo = given(repo), what = given(what), at = given(at),
    force = force ~= "", by = given(by) }
  if rate ~= "" then
    options.rate = units.size(rate)
    if not options.rate or options.rate < 1 then
      error("--rate must be a size such as \"200m\", bytes per second", 0)
    end
  end
  if options.by and not BY[options.by] then error("--by is repo or folder", 0) end
  return name, is_json ~= "", terminal ~= "", options
end

local function new(name, is_json, terminal, options)
  return setmetatable({ name = name, json = is_json, terminal = terminal, options = options,
    counts = {}, bytes = 0, faults = 0, began = core.now(), due = core.now() + TERMINAL_S },
    Chore)
end

local function main()
  local name, is_json, terminal, options = read_arguments()
  local c = new(name, is_json, terminal, options)
  for _, app in ipairs(serve.applications()) do
    if app.chores[name] then
      local ok, e = xpcall(app.chores[name], core.mistake, c)
      if not ok then
        clear(c)
        core.print(("%s\n%s stopped: %s%s\n"):format(c:summary(), name,
          err.is(e) and e.name == "CANCELLED" and "interrupted" or tostring(e),
          c.done and "; go on with --from '" .. c.done .. "'" or ""), true)
        return 1
      end
    end
  end
  if name == "restore" and not next(c.counts) and c.faults == 0 then
    c:found("not in the trash", { what = options.what })
  end
  clear(c)
  core.print(("%s: %s\n"):format(name, c:summary()), true)
  return c.faults > 0 and 1 or 0
end

-- The script is loaded.
function M.load()
  local name = read_arguments()
  for _, app in ipairs(serve.applications()) do
    if app.chores[name] then
      core.declare("main", main)
      return
    end
  end
  error(("nothing in this script can be asked for its %s"):format(name), 0)
end

return M
