-- SPDX-License-Identifier: Apache-2.0
-- `luajit spec/arrows.lua`: holds every #include of the C files against core/arrows, looks for
-- headers that include each other in a circle, and for files that have grown too long. Prints
-- each fault with its place and exits 1 if there is one.

local ARROWS = "core/arrows"
local LINES_MAX = 500

local faults = 0

local function fault(place, format, ...)
  faults = faults + 1
  io.stderr:write(place, ": ", format:format(...), "\n")
end

-- core/arrows as rooms[name] = { line, rests = { room… }, libraries = { prefix… } }, and the set
-- of all library prefixes that it names
local function read_arrows()
  local rooms, libraries, n = {}, {}, 0
  for line in io.lines(ARROWS) do
    n = n + 1
    local name, rest = line:gsub("#.*", ""):match("^%s*([%w/]+):(.*)$")
    if name then
      local room = { line = n, rests = {}, libraries = {} }
      for word in rest:gmatch("%S+") do
        local library = word:match("^<(.+)>$")
        if library then
          room.libraries[#room.libraries + 1] = library
          libraries[library] = true
        else
          room.rests[#room.rests + 1] = word
        end
      end
      rooms[name] = room
    elseif line:match("^%s*[^#%s]") then
      fault(ARROWS .. ":" .. n, "not a room")
    end
  end
  return rooms, libraries
end

-- gives each room `reach`, the set of rooms it may include
local function close(rooms, name, path)
  local room = rooms[name]
  if room.reach then return room.reach end
  path[name] = true
  local reach = { [name] = true }
  for _, lower in ipairs(room.rests) do
    local place = ARROWS .. ":" .. room.line
    if not rooms[lower] then
      fault(place, "%s rests on %s, which is no room", name, lower)
    elseif path[lower] then
      fault(place, "%s and %s rest on each other", name, lower)
    else
      for r in pairs(close(rooms, lower, path)) do reach[r] = true end
    end
  end
  path[name] = nil
  room.reach = reach
  return reach
end

local function room_of(path)
  if path:match("^core/[^/]+$") then return "main" end
  return path:match("^core/([^/]+)/") or path:match("^(.-/[^/]+)/") or path
end

-- where an include in quotes leads: the tree's top and core/ are searched
local function resolve(files, name)
  return files["core/" .. name] and "core/" .. name or files[name] and name
end

local function named_library(list, header)
  for library in pairs(list) do
    if header:sub(1, #library) == library then return library end
  end
end

local function may_use(room, header)
  for _, library in ipairs(room.libraries) do
    if header:sub(1, #library) == library then return true end
  end
  return false
end

local function check_include(rooms, libraries, files, file, place, mark, header)
  local from = room_of(file)
  local room = rooms[from]
  if mark == "<" then
    if named_library(libraries, header) and not may_use(room, header) then
      fault(place, "%s may not include <%s>", from, header)
    end
    return
  end
  local target = resolve(files, header)
  if not target then
    fault(place, "\"%s\" is not found", header)
  elseif not room.reach[room_of(target)] then
    fault(place, "%s may not include %s (%s)", from, header, ARROWS)
  else
    files[file][target] = place
  end
end

local function read_file(rooms, libraries, files, file)
  local n = 0
  for line in io.lines(file) do
    n = n + 1
    local mark, header = line:match('^%s*#%s*include%s+([<"])([^>"]+)[>"]')
    if mark then
      check_include(rooms, libraries, files, file, file .. ":" .. n, mark, header)
    end
  end
  return n
end

local function find_circle(files, file, path, seen)
  if seen[file] then return end
  path[file] = true
  for target, place in pairs(files[file]) do
    if path[target] then
      fault(place, "%s and %s include each other", file, target)
    else
      find_circle(files, target, path, seen)
    end
  end
  path[file] = nil
  seen[file] = true
end

local function list(command)
  local names = {}
  local p = assert(io.popen(command))
  for name in p:lines() do names[#names + 1] = name end
  p:close()
  table.sort(names)
  return names
end

local rooms, libraries = read_arrows()
for name in pairs(rooms) do close(rooms, name, {}) end

local names = list "find core backends spec -name '*.[ch]'"
local files = {}
for _, name in ipairs(names) do files[name] = {} end
for _, name in ipairs(names) do
  if not rooms[room_of(name)] then
    fault(name, "its folder has no line in %s", ARROWS)
  else
    local lines = read_file(rooms, libraries, files, name)
    if lines > LINES_MAX then fault(name, "%d lines, more than %d", lines, LINES_MAX) end
  end
end
local seen = {}
for _, name in ipairs(names) do find_circle(files, name, {}, seen) end
for _, name in ipairs(list "find scripts examples spec -name '*.lua'") do
  local n = 0
  for _ in io.lines(name) do n = n + 1 end
  if n > LINES_MAX then fault(name, "%d lines, more than %d", n, LINES_MAX) end
end

if faults > 0 then os.exit(1) end
print(("arrows: %d C files follow %s"):format(#names, ARROWS))
