-- SPDX-License-Identifier: Apache-2.0
-- `make bench`: tidegate beside Debian's docker-registry and nginx on this machine. Every row is
-- measured in turns (A B C, A B C, …) so that what disturbs the machine disturbs all alike; a
-- number is the median of its rounds. With a file as argument the tables also replace what
-- stands there between the markers below.
--
-- BENCH_ROUNDS=3, BENCH_DIR=build (a disk, not tmpfs), BENCH_ONLY="nginx,docker-registry",
-- BENCH_ROWS="lists" (of reads, pushes, memory, lists)

package.path = "./?.lua;" .. package.path

local listing = require "spec.bench.listing"
local machine = require "spec.bench.machine"
local servers = require "spec.bench.servers"

local ROUNDS = tonumber(os.getenv "BENCH_ROUNDS" or "3")
local ONLY = os.getenv "BENCH_ONLY"
local ROWS = os.getenv "BENCH_ROWS"
local LOAD = os.getenv "LOAD_BIN" or "build/load"
local BEGIN, END = "<!-- bench -->\n", "<!-- /bench -->"

local MIB = 2 ^ 20
local BLOB = 256 * MIB
local BATCH, BATCH_BLOB = 16, 64 * MIB
local CROWD, CROWD_BLOB = 32, 100 * MIB
local IDLE = 10000
local SLOW = 200
local GETS = 4
local MANIFEST = 4096
local WRK_S = 2

local REGISTRIES = { "tidegate sync", "tidegate async", "docker-registry" }
local PUSHERS = { "tidegate sync", "tidegate async", "docker-registry", "machine" }
local KEEPERS = { "tidegate sync", "docker-registry" } -- of memory
local TLS_READERS = { "tidegate sync", "nginx" }
local READERS = { "tidegate sync", "docker-registry", "nginx" }
local MANIFEST_READERS = { "tidegate sync", "tidegate hook", "docker-registry", "nginx" }

local function run(format, ...)
  local command = format:format(...)
  local p = assert(io.popen(command .. "; echo \"exit $?\""))
  local out, status = p:read("*a"):match "^(.*)exit (%d+)\n$"
  p:close()
  assert(status == "0", command .. " failed:\n" .. (out or ""))
  return out
end

local function median(list)
  table.sort(list)
  local n = #list
  return n % 2 == 1 and list[(n + 1) / 2] or (list[n / 2] + list[n / 2 + 1]) / 2
end

local function wanted(kinds)
  if not ONLY then return kinds end
  local list = {}
  for _, kind in ipairs(kinds) do
    if ("," .. ONLY .. ","):find("," .. kind .. ",", 1, true) then list[#list + 1] = kind end
  end
  return list
end

-- calls sample(kind) for all kinds in turns; { kind = median }
local function rounds(kinds, sample)
  local all, result = {}, {}
  for _ = 1, ROUNDS do
    for _, kind in ipairs(kinds) do
      all[kind] = all[kind] or {}
      table.insert(all[kind], sample(kind))
    end
  end
  for kind, list in pairs(all) do result[kind] = median(list) end
  return result
end

-- pushes n blobs at once: seconds, digests
local function push(s, repo, file, size, n)
  local out = run("%s push %d %s %s %d %d", LOAD, s.port, repo, file, size, n)
  local digests = {}
  for digest in out:gmatch "sha256:%x+" do digests[#digests + 1] = digest end
  return tonumber(out:match "^[%d.]+"), digests
end

-- a manifest of about MANIFEST bytes under the tag "latest"; its layers are one blob many times
local function put_manifest(s, repo, digest, top)
  local layer = ('{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"%s",'
    .. '"size":%d}'):format(digest, BLOB)
  local layers = {}
  for i = 1, math.floor(MANIFEST / #layer) - 1 do layers[i] = layer end
  local f = assert(io.open(top .. "/manifest", "w"))
  f:write('{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":',
    (layer:gsub("layer.v1.tar%+gzip", "config.v1+json")), ',"layers":[', table.concat(layers, ","),
    "]}")
  f:close()
  run("curl -sSf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' "
    .. "--data-binary @%s/manifest http://127.0.0.1:%d/v2/%s/manifests/latest", top, s.port, repo)
end

-- servers that can be read from, each with the same blob and manifest
local function start_readers(top, file)
  local readers = {}
  for _, kind in ipairs(wanted(MANIFEST_READERS)) do
    local s = servers.start(kind, top)
    if kind == "nginx" then
      run("ln %s %s/www/blob && head -c %d %s >%s/www/manifest", file, s.dir, MANIFEST, file, s.dir)
      s.blob, s.manifest = "/blob", "/manifest"
    else
      local _, digests = push(s, "bench/image", file, BLOB, 1)
      put_manifest(s, "bench/image", digests[1], top)
      s.blob = "/v2/bench/image/blobs/" .. digests[1]
      s.manifest = "/v2/bench/image/manifests/latest"
    end
    readers[kind] = s
  end
  return readers
end

local function get_blob(s)
  return GETS * BLOB / tonumber(run("%s get %d %s %d", LOAD, s.port, s.blob, GETS))
end

-- the rate of one client alone, and beside many that read a KiB now and then, in turns; the second
-- as a part of the first
local function get_beside_slow(s, top)
  local shares = {}
  for i = 1, ROUNDS do
    local alone = get_blob(s)
    local p = assert(io.popen(("%s slow %d %s %d >%s/slow"):format(LOAD, s.port, s.blob, SLOW, top),
      "w"))
    while run("cat %s/slow", top) == "" do run "sleep 0.05" end
    run "sleep 1" -- until what their sockets hold is full
    shares[i] = get_blob(s) / alone
    p:close()
  end
  return median(shares)
end

local function get_blob_tls(s)
  return GETS * BLOB / tonumber(run("%s gets %d %s %d", LOAD, s.tls_port, s.blob, GETS))
end

local function get_manifest_at(s, url)
  local out = run("wrk -t 2 -c 32 -d %ds -H 'Accept: application/vnd.oci.image.manifest.v1+json' "
    .. "%s%s", WRK_S, url, s.manifest)
  assert(not out:find "Non%-2xx", s.kind .. " answered errors:\n" .. out)
  return tonumber(out:match "Requests/sec:%s+([%d.]+)")
end

local function get_manifest(s)
  return get_manifest_at(s, "http://127.0.0.1:" .. s.port)
end

local function get_manifest_tls(s)
  return get_manifest_at(s, "https://127.0.0.1:" .. s.tls_port)
end

-- what a push by one client is bound by: it cannot be hashed or written faster
local function bound(top) return math.min(machine.sha256(), machine.disk(top)) end

-- each push is measured on an empty server and a quiet disk
local function push_row(top, file, size, n, kinds)
  return rounds(wanted(kinds), function(kind)
    if kind == "machine" then return bound(top) end
    local s = servers.start(kind, top)
    run "sync"
    local seconds = push(s, "bench/push", file, size, n)
    servers.stop(s)
    return n * size / seconds
  end)
end

local function memory_rows(top, file)
  local idle, crowd, held = {}, {}, {}
  for _, kind in ipairs(wanted(KEEPERS)) do
    local s = servers.start(kind, top)
    idle[kind] = servers.memory(s, "VmRSS")
    push(s, "bench/push", file, CROWD_BLOB, CROWD)
    crowd[kind] = servers.memory(s, "VmHWM")
    servers.stop(s)
    s = servers.start(kind, top)
    local p = assert(io.popen(("%s idle %d %d >%s/held"):format(LOAD, s.port, IDLE, top), "w"))
    while run("cat %s/held", top) == "" do run "sleep 0.05" end
    held[kind] = servers.memory(s, "VmRSS")
    p:close()
    servers.stop(s)
  end
  return idle, crowd, held
end

local function rate(n) return ("%.0f MB/s"):format(n / 1e6) end
local function count(n) return ("%.0f/s"):format(n) end
local function share(n) return ("%.2f"):format(n) end
local function memory(n) return ("%.1f MiB"):format(n / MIB) end
local function millis(n) return ("%.1f ms"):format(n) end

local function cell(value, form)
  return value and form(value) or "–"
end

local function ratio(row, other)
  local mine = row["tidegate sync"]
  return mine and row[other] and ("%.2f"):format(mine / row[other]) or "–"
end

local function table_of(rows)
  local lines = {
    "| | tidegate, sync | tidegate, async | docker-registry | nginx | machine "
      .. "| ÷ docker-registry | ÷ nginx | ÷ machine |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
  }
  for _, row in ipairs(rows) do
    local v, form = row.values, row.form
    lines[#lines + 1] = ("| %s | %s | %s | %s | %s | %s | %s | %s | %s |"):format(row.name,
      cell(v["tidegate sync"], form), cell(v["tidegate async"], form),
      cell(v["docker-registry"], form), cell(v.nginx, form), cell(v.machine, form),
      ratio(v, "docker-registry"), ratio(v, "nginx"), ratio(v, "machine"))
  end
  return table.concat(lines, "\n") .. "\n"
end

local function reads(add, top, file)
  local readers = start_readers(top, file)
  local function reading(kinds, sample)
    return rounds(wanted(kinds), function(kind) return sample(readers[kind]) end)
  end
  add("GET of a 256 MiB blob, one client", rate, reading(READERS, get_blob))
  local gets = reading(MANIFEST_READERS, get_manifest)
  add("GET of a 4 KiB manifest by tag, 32 connections", count, gets)
  add("the same, with an `allow` hook", count, { ["tidegate sync"] = gets["tidegate hook"],
    ["docker-registry"] = gets["docker-registry"], nginx = gets.nginx })
  add("GET of a 256 MiB blob with TLS, one client", rate, reading(TLS_READERS, get_blob_tls))
  add("GET of a 4 KiB manifest with TLS, 32 connections", count,
    reading(TLS_READERS, get_manifest_tls))
  local beside = {}
  for _, kind in ipairs(wanted(READERS)) do beside[kind] = get_beside_slow(readers[kind], top) end
  add(("rate of the first row that is left beside %d slow clients"):format(SLOW), share, beside)
  for _, s in pairs(readers) do servers.stop(s) end
end

local function pushes(add, top, file)
  add("push of a 256 MiB blob, one client", rate, push_row(top, file, BLOB, 1, PUSHERS))
  add("16 pushes of 64 MiB at once", rate, push_row(top, file, BATCH_BLOB, BATCH, REGISTRIES))
end

local function memories(add, top, file)
  local idle, crowd, held = memory_rows(top, file)
  add("memory after the start", memory, idle)
  add("most memory while 32 blobs of 100 MiB are pushed", memory, crowd)
  add("memory with 10 000 idle connections", memory, held)
end

local function lists(add, top)
  local values, held = listing.measure(wanted(KEEPERS), top, ROUNDS, run, median)
  for i, row in ipairs(listing.ROWS) do add(row.name, millis, values[i]) end
  add("memory that these lists took", memory, held)
end

local GROUPS = {
  { name = "reads", measure = reads },
  { name = "pushes", measure = pushes },
  { name = "memory", measure = memories },
  { name = "lists", measure = lists },
}

local function measure(top)
  local file = top .. "/bytes"
  run("head -c %d /dev/urandom >%s", BLOB, file)
  local facts = ("%s.\nOne core hashes SHA-256 at %s (openssl speed); the disk writes %s (dd, "
    .. "fdatasync).\ndocker-registry %s, nginx %s; medians of %d rounds.\n"):format(machine.line(),
    rate(machine.sha256()), rate(machine.disk(top)),
    machine.version "docker-registry --version", machine.version "nginx -v", ROUNDS)
  io.stderr:write(facts)

  local rows = {}
  local function add(name, form, values)
    rows[#rows + 1] = { name = name, form = form, values = values }
    io.stderr:write("  measured: ", name, "\n")
  end
  for _, group in ipairs(GROUPS) do
    if not ROWS or ("," .. ROWS .. ","):find("," .. group.name .. ",", 1, true) then
      group.measure(add, top, file)
    end
  end
  return facts .. "\n" .. table_of(rows)
end

-- replaces what stands between the markers
local function store(path, text)
  local f = assert(io.open(path))
  local old = f:read "*a"
  f:close()
  local _, from = old:find(BEGIN, 1, true)
  local to = from and old:find(END, from, true)
  assert(to, path .. " has no lines " .. BEGIN .. END)
  f = assert(io.open(path, "w"))
  f:write(old:sub(1, from), text, old:sub(to))
  f:close()
end

local top = run("mkdir -p %s && mktemp -d -p %s bench.XXXXXX", os.getenv "BENCH_DIR" or "build",
  os.getenv "BENCH_DIR" or "build"):match "%S+"
top = run("realpath %s", top):match "%S+"
local ok, result = xpcall(measure, debug.traceback, top)
servers.stop_all()
os.execute("rm -rf " .. top)
if not ok then
  io.stderr:write(result, "\n")
  os.exit(1)
end
print(result)
if arg[1] then store(arg[1], result) end
