-- SPDX-License-Identifier: Apache-2.0
--
-- Is a layout what the registry needs (contract.lua)? While the script loads, its functions are
-- called with names that a careless one would confuse, and what they return is held against each
-- other. So two names on one key, or a tag whose removal takes another one along, are errors with
-- file and line, and not a loss some day.
local check = require "tidegate.check"
local contract = require "apps.registry.contract"
local names = require "apps.registry.names"

-- What begins alike, lies in another one, or looks like something else.
local HEX = ("0123456789abcdef"):rep(4)
local OTHER = HEX:sub(1, -2) .. "0"
local ID, OTHER_ID = "01234567-89ab-8def-8123-456789abcdef", "01234567-89ab-8def-8123-456789abcde0"
local NAMES = {
  repo = { "a", "a/b", ("r"):rep(255) },
  tag = { "v1", "v1.0", "sha256-" .. HEX, HEX, ("t"):rep(128) },
  content = { "sha256:" .. HEX, "sha256:" .. OTHER },
  digest = { "sha256:" .. HEX, "sha256:" .. OTHER, "sha512:" .. HEX .. HEX },
  subject = { "sha256:" .. HEX, "sha512:" .. HEX .. HEX, "sha512:" .. HEX .. OTHER },
  id = { ID, OTHER_ID },
  algorithm = { "sha256", "sha512" },
  part = { 1, 2, 10 },
}
NAMES.name = { "v1", "v1.0", HEX, "sha256:" .. HEX, "sha256:" .. OTHER, ("t"):rep(128) }
-- What trash.lua keeps below the prefix `trash`.
local TRASH = { "trash", {}, "what was deleted", {} }
local ENTRY = "2026-11-22T09/a/_tags/v1/001795338902113-60f095540a980873"
local WORDS_MAX, WORD_MAX = 16, 16 -- of the layout's own words, and of their bytes
local SHOWN, LAST = 24, 4 -- bytes of a name in a message, and of its end if that is too long

local M = {}

local function fail(text, ...)
  error("'layout': " .. text:format(...), 0)
end

-- layer("a/b", "sha256:0123456789abc…cdef")
local function told(name, args)
  local shown = {}
  for i, value in ipairs(args) do
    local text = tostring(value)
    if #text > SHOWN then text = text:sub(1, SHOWN - LAST) .. "…" .. text:sub(-LAST) end
    shown[i] = type(value) == "string" and '"' .. text .. '"' or text
  end
  return #args == 0 and name or ("%s(%s)"):format(name, table.concat(shown, ", "))
end

local function name_of(call)
  return told(call.name, call.args)
end

local function is_below(key, prefix)
  return key:sub(1, #prefix) == prefix
end

-- Everything that is needed is there. What is not may be there under a wrong name.
local function check_fields(layout, needs)
  local others = {}
  for name in pairs(layout) do others[name] = true end
  local function need(name, kind, signature, what)
    others[name] = nil
    local value = layout[name]
    if value == nil then
      fail("it has no %s, %s%s", signature, what, check.hint(name, others))
    elseif type(value) ~= kind then
      fail("its '%s', %s, must be a %s, it is a %s", name, what, kind, type(value))
    end
  end
  local values = {}
  for name in pairs(needs.values) do values[#values + 1] = name end
  table.sort(values)
  for _, list in ipairs { needs.keys, needs.prefixes } do
    for _, one in ipairs(list) do others[one[1]] = nil end
  end
  for _, name in ipairs(values) do need(name, "string", "'" .. name .. "'", needs.values[name]) end
  for _, list in ipairs { needs.keys, needs.prefixes } do
    for _, one in ipairs(list) do
      if not one.optional or layout[one[1]] ~= nil then
        need(one[1], "function", ("function '%s(%s)'"):format(one[1], table.concat(one[2], ", ")),
          one[3])
      end
    end
  end
  if layout.root ~= "" and layout.root:sub(-1) ~= "/" then
    fail("its 'root' must end with \"/\" or be empty, it is '%s'", layout.root)
  end
  if layout.trash and not is_below(layout.trash, layout.root) then
    fail("its 'trash', '%s', is not below 'root', which is '%s'", layout.trash, layout.root)
  end
  if #layout.reserved ~= 1 or names.is_repo(layout.reserved .. "a") then
    fail("its 'reserved' must be a character that no name of a repository begins with, as \"_\"")
  end
end

-- What one call returns, twice the same text.
local function ask(layout, call)
  local f, got = layout[call.name], nil
  for i = 1, 2 do
    local ok, result = pcall(f, unpack(call.args))
    if not ok then fail("%s fails: %s", name_of(call), tostring(result)) end
    if type(result) ~= "string" then
      fail("%s returns a %s, not a string", name_of(call), type(result))
    end
    if i == 2 and result ~= got then
      fail("%s is '%s', and then '%s'", name_of(call), got, result)
    end
    got = result
  end
  return got
end

-- Are both about the same thing? What is shared is the same for several repositories.
local function is_same(of, args, others)
  for i, kind in ipairs(of[2]) do
    if args[i] ~= others[i] and not (of.shared and kind == "repo") then return false end
  end
  return true
end

local function add_key(state, call, key)
  if not state.store:is_key(key) then fail("%s is no key: '%s'", name_of(call), key) end
  local other = state.keys[key]
  if other and not (other.of == call.of and is_same(call.of, call.args, other.args)) then
    fail("%s and %s have the same key: '%s'", name_of(other), name_of(call), key)
  end
  if other then return end
  state.list[#state.list + 1] = key
  state.keys[key] = call
end

local function add_prefix(state, call, prefix)
  if prefix:sub(-1) ~= "/" or not state.store:is_key(prefix .. "0") then
    fail("%s is no prefix that ends with \"/\": '%s'", name_of(call), prefix)
  end
  local list = state.prefixes[prefix] or {}
  state.prefixes[prefix] = list
  list[#list + 1] = call
  -- an object below it, called by an offset
  if call.name == "upload_states" then add_key(state, call, prefix .. "0") end
end

local function id_of(name, args, n)
  return name .. "\0" .. table.concat(args, "\0", 1, n)
end

-- Notes what the function makes of these names, unless that is known.
local function note(state, of, args, add)
  local id = id_of(of[1], args, #args)
  if state.calls[id] then return end
  local call = { of = of, name = of[1], args = args }
  call.result = ask(state.layout, call)
  if not is_below(call.result, state.layout.root) then
    fail("%s is not below 'root', which is '%s': '%s'", name_of(call), state.layout.root,
      call.result)
  end
  state.calls[id] = call
  state.order[#state.order + 1] = call
  add(state, call, call.result)
end

-- Calls each function with all of these names.
local function probe(state, functions, probes, add)
  local function fill(of, args, at)
    local kind = of[2][at]
    if not kind then return note(state, of, { unpack(args) }, add) end
    for _, name in ipairs(probes[kind]) do
      if kind ~= "repo" or not state.layout.takes or state.layout.takes(name) then
        args[at] = name
        fill(of, args, at + 1)
      end
    end
  end
  for _, of in ipairs(functions) do
    if state.layout[of[1]] then fill(of, {}, 1) end
  end
end

-- The words that the layout has in its keys and a client may use, too.
local function words_of(state)
  local words, known = {}, { a = true, b = true, v1 = true }
  for _, key in ipairs(state.list) do
    for word in key:gmatch "[^/]+" do
      if not known[word] and #word <= WORD_MAX and #words < WORDS_MAX and names.is_repo(word) then
        words[#words + 1] = word
      end
      known[word] = true
    end
  end
  return words
end

-- One name of each kind, but for these.
local function few(changes)
  local probes = {}
  for kind, list in pairs(NAMES) do probes[kind] = changes[kind] or { list[1] } end
  return probes
end

local function look(layout, store, needs)
  local state = { layout = layout, store = store, calls = {}, order = {}, -- by names and arguments
    keys = {}, prefixes = {}, -- calls by their results; of a prefix all
    list = {} } -- the keys, the first n_full by all names
  probe(state, needs.keys, NAMES, add_key)
  probe(state, needs.prefixes, NAMES, add_prefix)
  state.n_full = #state.list
  if layout.trash then
    local call = { of = TRASH, name = "trash", args = {} }
    add_prefix(state, call, layout.trash)
    add_key(state, call, layout.trash .. ENTRY)
  end
  local words = words_of(state)
  local inner = {}
  for i, word in ipairs(words) do inner[i] = "a/" .. word end
  for _, probes in ipairs { few { repo = words }, few { repo = inner },
    few { tag = words, name = words } } do
    probe(state, needs.own, probes, add_key)
  end
  return state
end

-- May the key of this call be below that prefix?
local function belongs(call, owner)
  if call == owner then return true end
  for _, name in ipairs(owner.of[4]) do
    if name == call.name then return is_same(owner.of, owner.args, call.args) end
  end
  return false
end

-- Nothing above a key is a key, or a prefix of somebody else's.
local function check_above(state, key, call)
  local at = key:find("/", math.max(#state.layout.root, 1), true)
  while at do
    local other = state.keys[key:sub(1, at - 1)]
    if other then
      fail("%s would be a folder, for %s is below it: '%s'", name_of(other), name_of(call), key)
    end
    for _, owner in ipairs(state.prefixes[key:sub(1, at)] or {}) do
      if not belongs(call, owner) then
        fail("%s is below %s, where it does not belong: '%s'", name_of(call), name_of(owner), key)
      end
    end
    at = key:find("/", at + 1, true)
  end
end

-- A key is below the prefixes that are to hold it.
local function check_inside(state, needs, key, call)
  for _, of in ipairs(needs.holders[call.name]) do
    local owner = state.calls[id_of(of[1], call.args, #of[2])]
    if owner and not is_below(key, owner.result) then
      fail("%s is not below %s, which is '%s': '%s'", name_of(call), name_of(owner), owner.result,
        key)
    end
  end
end

-- The walk of the catalog comes by this key, if at all, in the key's own repository.
local function check_walk(reg, needs, key, call)
  local layout, repo, name, child = reg.layout, "", nil, nil
  for i, kind in ipairs(call.of[2]) do
    if kind == "repo" then repo = call.args[i] end
  end
  repeat
    name = name and name .. "/" .. child or child
    local before = reg.form.below(reg, name)
    child = is_below(key, before) and key:sub(#before + 1):match "^([^/]+)/"
    local is_own = child and (child == layout.marker or is_below(child, layout.reserved))
    local taken = child and not is_own and (name and name .. "/" or "") .. child
    if taken and not is_below(repo .. "/", taken .. "/") then
      fail("%s would be taken for a repository '%s': '%s'", name_of(call), taken, key)
    end
  until not taken
  for _, of in ipairs(needs.holders[call.name]) do
    if of[1] == "manifests" and (name ~= repo or child ~= layout.marker) then
      fail("%s does not make a repository of '%s', for it is not below '%s': '%s'",
        name_of(call), repo, reg.form.below(reg, repo) .. layout.marker .. "/", key)
    end
  end
end

-- What one of the functions from keys to names returns.
local function ask_back(layout, name, key)
  local ok, a, b, c = pcall(layout[name], key)
  if not ok then fail("%s fails: %s", told(name, { key }), tostring(a)) end
  return a, b, c
end

-- The other way round.
local function check_back(layout, needs, key, call)
  local kind, args = needs.meanings[call.name], call.args
  if call.name == "blob" then kind = "blob" end
  if layout.meaning and kind then
    local got, a, b = ask_back(layout, "meaning", key)
    if got ~= kind or a ~= args[1] or kind ~= "blob" and b ~= args[2] then
      fail("meaning('%s') is %s, and has to be %s", key, got and told(got, { a, b }) or "nil",
        told(kind, { args[1], kind ~= "blob" and args[2] or nil }))
    end
  end
  if layout.linked and (call.name == "layer" or call.name == "revision") then
    local got, digest = ask_back(layout, "linked", key), args[2]
    if not is_below(digest, "sha256:") then digest = nil end
    if got ~= digest then
      fail("linked('%s') is %s, and has to be %s", key, tostring(got), tostring(digest))
    end
  end
end

-- Lists make keys of a prefix and a name, and names of a prefix and a key.
local function check_relations(layout, needs, call)
  local f, want = needs.relations[call.name], nil
  if f then
    want = f(layout, unpack(call.args))
  elseif call.name == "referrer" then
    local repo, subject, digest = unpack(call.args)
    want = layout.referrers(repo, subject) .. digest:gsub(":", "/")
  end
  if want and want ~= call.result then
    fail("%s has to be '%s', it is '%s'", name_of(call), want, call.result)
  end
end

-- Raises a text that says what is wrong with the layout in this store. `form` is the layout's.
function M.check(layout, store, form)
  local needs = contract.of(layout)
  local reg = { layout = layout, form = form }
  check_fields(layout, needs)
  local state = look(layout, store, needs)
  for _, call in ipairs(state.order) do check_relations(layout, needs, call) end
  for i, key in ipairs(state.list) do
    local call = state.keys[key]
    check_above(state, key, call)
    check_inside(state, needs, key, call)
    check_walk(reg, needs, key, call)
    if i <= state.n_full then check_back(layout, needs, key, call) end
  end
end

return M
