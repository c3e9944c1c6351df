-- SPDX-License-Identifier: Apache-2.0
-- What the machine can do by itself: the numbers to read the others against.

local M = {}

local function capture(command)
  local p = assert(io.popen(command))
  local out = p:read "*a"
  p:close()
  return out
end

-- one line: processor, cores, memory, system
function M.line()
  local cpu = capture("cat /proc/cpuinfo"):match("model name%s*:%s*([^\n]+)") or "unknown processor"
  local sha = capture("cat /proc/cpuinfo"):match("%f[%w]sha_ni%f[^%w_]") and "SHA-NI" or "no SHA-NI"
  return ("%s (%s), %d cores, %d GiB, Linux %s, %s"):format(cpu, sha,
    tonumber(capture "nproc"),
    math.floor(tonumber(capture("cat /proc/meminfo"):match("MemTotal:%s+(%d+)")) / 2 ^ 20 + 0.5),
    capture("uname -r"):match "%S+",
    capture(". /etc/os-release; echo $PRETTY_NAME"):match "[^\n]*")
end

-- SHA-256 of one core, bytes a second
function M.sha256()
  local out = capture "openssl speed -seconds 1 -bytes 262144 sha256 2>/dev/null"
  return tonumber(out:match "sha256%s+([%d.]+)k") * 1000
end

-- writing 1 GiB to the disk and syncing it, bytes a second
function M.disk(dir)
  local out = capture(("dd if=/dev/zero of=%s/disk bs=1M count=1024 conv=fdatasync 2>&1")
    :format(dir))
  os.execute(("rm -f %s/disk"):format(dir))
  return 2 ^ 30 / tonumber(out:match "copied, ([%d.]+) s")
end

function M.version(command)
  return capture(command .. " 2>&1"):match "%d+%.%d+[%w.]*" or "?"
end

return M
