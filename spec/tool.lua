-- SPDX-License-Identifier: Apache-2.0
--
-- Small things that every spec needs: digests, repeatable bytes, folders, commands.
local ffi = require "ffi"
local lfs = require "lfs"
local stdlib = require "posix.stdlib"

local crypto = ffi.load("libcrypto.so.3")
ffi.cdef [[
  unsigned char *SHA256(const unsigned char *d, size_t n, unsigned char *md);
  unsigned char *SHA512(const unsigned char *d, size_t n, unsigned char *md);
  const void *EVP_sha256(void);
  unsigned char *HMAC(const void *md, const void *key, int key_n, const unsigned char *d,
                      size_t n, unsigned char *out, unsigned *out_n);
]]

local M = {}

-- The sanitizers that the programs are built with: "memory" (address, leak, undefined), "threads",
-- or "" for none.
M.sanitizer = os.getenv "SANITIZER" or ""

-- ThreadSanitizer holds a signal back until the thread calls something that it intercepts. A
-- script that runs away calls nothing, so the watchdog cannot reach it there.
M.watchdog_works = M.sanitizer ~= "threads"

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function digest(name, size)
  local out = ffi.new("unsigned char[?]", size)
  return function(text)
    crypto[name](text, #text, out)
    return hex(ffi.string(out, size))
  end
end

-- lower-case hex of a text
M.sha256 = digest("SHA256", 32)
M.sha512 = digest("SHA512", 64)

-- The 32 bytes of an HMAC-SHA-256.
function M.hmac(key, text)
  local out = ffi.new("unsigned char[32]")
  crypto.HMAC(crypto.EVP_sha256(), key, #key, text, #text, out, nil)
  return ffi.string(out, 32)
end

-- "sha256:…", as the registry's clients write it
function M.digest(text)
  return "sha256:" .. M.sha256(text)
end

-- n bytes that a seed decides: the same on every run.
function M.bytes(n, seed)
  local words = math.ceil(n / 4)
  local out = ffi.new("uint32_t[?]", words)
  local x = bit.bxor(seed or 1, 0x5bd1e995)
  if x == 0 then x = 1 end
  for i = 0, words - 1 do
    x = bit.bxor(x, bit.lshift(x, 13))
    x = bit.bxor(x, bit.rshift(x, 17))
    x = bit.bxor(x, bit.lshift(x, 5))
    out[i] = x
  end
  return ffi.string(out, n)
end

-- A fresh empty folder below the system's place for temporary files.
function M.tmpdir()
  return assert(stdlib.mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/tidegate-spec-XXXXXX"))
end

function M.write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

-- The whole file, or nil.
function M.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

-- One word for the shell.
function M.quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Runs a shell command; returns whether it ended with 0, and what it printed on both outputs.
function M.run(command)
  local p = assert(io.popen("{ " .. command .. "\n} 2>&1; echo \"exit=$?\"", "r"))
  local text = p:read("*a")
  p:close()
  local out, code = text:match("^(.-)exit=(%d+)\n$")
  return code == "0", out or text
end

-- The same for a command that has to work.
function M.must(command)
  local ok, out = M.run(command)
  assert(ok, command .. "\n" .. out)
  return out
end

-- Is there such a program?
function M.has(program)
  return (M.run("command -v " .. M.quote(program)))
end

function M.remove(folder)
  assert(folder:match("/tidegate%-spec%-"), "not a folder of the specs: " .. folder)
  M.must("rm -rf -- " .. M.quote(folder))
end

-- The paths of all files below a folder, relative to it, in byte order. Folders below it that
-- somebody removes meanwhile have none.
function M.files(root)
  local found = {}
  local function walk(folder, prefix)
    local ok, each, handle = pcall(lfs.dir, folder)
    if not ok and folder ~= root and not lfs.symlinkattributes(folder) then return end
    assert(ok, each)
    for name in each, handle do
      if name ~= "." and name ~= ".." then
        local path = folder .. "/" .. name
        if lfs.symlinkattributes(path, "mode") == "directory" then
          walk(path, prefix .. name .. "/")
        else
          found[#found + 1] = prefix .. name
        end
      end
    end
  end
  walk(root, "")
  table.sort(found)
  return found
end

return M
