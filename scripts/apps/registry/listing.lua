-- SPDX-License-Identifier: Apache-2.0
--
-- The names right below a prefix, in byte order, with the memory of a page.
--
-- A store lists folders as names that end with "/", which sorts behind "-" and ".": "a-b" comes
-- before "a" there, and after it here. Two names are ordered differently only if one begins with
-- the other. So all that comes before the end of a page here, and is listed after it, are
-- beginnings of the last name listed: they are few, and looked up one by one. With them a page is
-- complete, and everything that follows sorts behind all of it.
--
-- The rejected simpler way is to read all names and to sort them: a page of ten then costs the time
-- and the memory of a hundred thousand.
local LIST_MAX = 1000 -- names that a store lists at once

local M = {}

local List = {}
List.__index = List

local function folder_name(entry, prefix)
  return entry.prefix and entry.name:sub(#prefix + 1, -2) or nil
end

-- Names from `from` on (all, when it is nil), which need not exist. `limit` is how many are likely
-- to be asked for; who asks for more gets pages of twice the size. The names are those of folders,
-- or what object_name(entry, prefix) makes of objects (nil: none), which come from behind `from`.
function M.new(store, prefix, from, limit, object_name)
  return setmetatable({ store = store, prefix = prefix, from = from, limit = limit,
    folders = not object_name, name_of = object_name or folder_name,
    after = from and prefix .. from or nil, page = {}, at = 0, more = true }, List)
end

local function exists(self, name)
  return #self.store:list(self.prefix .. name .. "/", { delimiter = true, limit = 1 }) > 0
end

-- Adds the name if it was not given already, as a beginning of another one.
local function add(self, name)
  if not name or self.given and name <= self.given or self.from and name < self.from then return end
  self.page[#self.page + 1] = name
end

local function fill(self)
  local entries
  entries, self.more = self.store:list(self.prefix,
    { delimiter = true, after = self.after, limit = math.min(self.limit, LIST_MAX) })
  self.page, self.at, self.limit = {}, 0, 2 * self.limit
  for _, entry in ipairs(entries) do
    self.after = entry.name
    add(self, self.name_of(entry, self.prefix))
  end
  if self.more and self.folders then
    local newest = self.after:sub(#self.prefix + 1)
    for cut in newest:gmatch "()[ -.]" do -- the characters before "/"
      local name = newest:sub(1, cut - 1)
      if name ~= "" and exists(self, name) then add(self, name) end
    end
  end
  table.sort(self.page)
end

-- The next name, or nil.
function List:next()
  while self.at == #self.page do
    if not self.more then return nil end
    fill(self)
  end
  self.at = self.at + 1
  self.given = self.page[self.at]
  return self.given
end

-- Whether there is such a folder. For a list from the beginning, before the first `next`.
function List:has(name)
  if #self.page == 0 and self.more then fill(self) end
  for _, one in ipairs(self.page) do
    if one == name then return true end
  end
  return self.more and exists(self, name)
end

return M
