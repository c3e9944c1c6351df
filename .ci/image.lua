-- SPDX-License-Identifier: Apache-2.0
--
-- luajit .ci/image.lua PROGRAM VERSION FOLDER: an OCI image of the program, as an OCI
-- layout folder that skopeo, podman and buildah can read. It needs neither root, a network nor a
-- container tool: the layer holds the program, the shared libraries that it and libcurl load, the
-- certificates of public authorities, the examples, and nothing else; no shell. The same inputs
-- give the same bytes.
local PROGRAM, VERSION, FOLDER = arg[1], arg[2], arg[3]
local USER = 10001 -- and group; no name is needed, but people like one
local DATA, RUN = "var/lib/tidegate", "run/tidegate"
local AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
local ARCH = { x86_64 = "amd64", aarch64 = "arm64" }

local function fail(format, ...)
  io.stderr:write("image: ", format:format(...), "\n")
  os.exit(1)
end

local function run(format, ...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
  local command = format:format(unpack(words))
  local p = assert(io.popen(command .. " && echo done", "r"))
  local out, ok = p:read("*a"):gsub("done\n$", "")
  p:close()
  if ok == 0 then fail("this failed: %s", command) end
  return out
end

local function read(path)
  local f = io.open(path, "rb") or fail("%s is missing", path)
  local text = f:read("*a")
  f:close()
  return text
end

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

-- -- what the layer holds: path -> { text or nil for a folder, mode, owner } ----------------------

local entries = {}

local function add_folder(path, mode, owner)
  local above = path:match("^(.+)/[^/]+$")
  if above and not entries[above] then add_folder(above) end
  entries[path] = { mode = mode or 0x1ed, owner = owner or 0 } -- 0755
end

local function add(path, text, mode)
  add_folder(path:match("^(.+)/[^/]+$"))
  entries[path] = { text = text, mode = mode or 0x1a4, owner = 0 } -- 0644
end

-- The libraries that ldd names for a file, and the loader itself, each where it is looked for.
local function add_libraries(path)
  for line in run("ldd %s", path):gmatch("[^\n]+") do
    local library = line:match("=> (/%S+)") or line:match("^%s*(/%S+) %(")
    if line:find("not found", 1, true) then fail("%s needs %s", path, line) end
    if library then add(library:sub(2):gsub("^usr/lib/", "lib/"), read(library), 0x1ed) end
  end
end

local function add_program()
  local stripped = os.tmpname()
  run("strip -o %s %s", stripped, PROGRAM)
  add("usr/bin/tidegate", read(stripped), 0x1ed)
  os.remove(stripped)
  add_libraries(PROGRAM)
  -- the HTTP client is opened when a script first needs it
  local curl = run("/sbin/ldconfig -p"):match("libcurl%.so%.4 [^\n]*=> (/%S+)")
  if not curl then fail("libcurl.so.4 is missing") end
  add(curl:sub(2):gsub("^usr/lib/", "lib/"), read(curl), 0x1ed)
  add_libraries(curl)
end

local function add_files()
  add("etc/passwd", ("root:x:0:0::/:/\ntidegate:x:%d:%d::/%s:/\n"):format(USER, USER, DATA))
  add("etc/group", ("root:x:0:\ntidegate:x:%d:\n"):format(USER))
  add("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
  add(AUTHORITIES:sub(2), read(AUTHORITIES))
  add("etc/tidegate/registry.lua", read("examples/registry.lua"))
  for path in run("find examples -name '*.lua'"):gmatch("[^\n]+") do
    add("usr/share/tidegate/" .. path, read(path))
  end
  add("usr/share/doc/tidegate/LICENSE", read("LICENSE"))
  add_folder(DATA, 0x1e8, USER) -- 0750
  add_folder(RUN, 0x1e8, USER)
end

-- -- a tar file (POSIX.1-1988, "ustar"), its entries in order -----------------------------------

local function octal(n, size)
  return ("%0" .. (size - 1) .. "o\0"):format(n)
end

local function padded(text, size)
  return text .. ("\0"):rep(size - #text)
end

local function header(path, e)
  local prefix, name = "", e.text and path or path .. "/"
  if #name > 100 then prefix, name = name:match("^(.*)/([^/]+/?)$") end
  if #name > 100 or #prefix > 155 then fail("%s is too long a path", path) end
  local before = padded(name, 100) .. octal(e.mode, 8) .. octal(e.owner, 8) .. octal(e.owner, 8)
    .. octal(e.text and #e.text or 0, 12) .. octal(0, 12)
  local behind = (e.text and "0" or "5") .. padded("", 100) .. "ustar\00000" .. padded("", 80)
    .. padded(prefix, 155) .. padded("", 12)
  local sum = 0
  for byte in (before .. (" "):rep(8) .. behind):gmatch(".") do sum = sum + byte:byte() end
  return before .. ("%06o\0 "):format(sum) .. behind
end

local function tar()
  local paths, parts = {}, {}
  for path in pairs(entries) do paths[#paths + 1] = path end
  table.sort(paths)
  for _, path in ipairs(paths) do
    local e = entries[path]
    parts[#parts + 1] = header(path, e)
    if e.text then parts[#parts + 1] = e.text .. ("\0"):rep(-#e.text % 512) end
  end
  parts[#parts + 1] = ("\0"):rep(1024)
  return table.concat(parts)
end

-- -- the layout (OCI image-spec 1.0) ------------------------------------------------------------

local function sha256(path)
  return run("sha256sum %s", path):match("^%x+")
end

-- Takes a file, or a text, in as a blob; its descriptor as JSON.
local function add_blob(media_type, text, path, more)
  if text then
    path = FOLDER .. "/blob"
    write(path, text)
  end
  local size, digest = #read(path), sha256(path)
  os.rename(path, FOLDER .. "/blobs/sha256/" .. digest)
  return ('{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%d%s}')
    :format(media_type, digest, size, more or "")
end

local LABELS = ([["org.opencontainers.image.title":"tidegate",
"org.opencontainers.image.version":"%s","org.opencontainers.image.licenses":"Apache-2.0"]])
  :format(VERSION)

local CONFIG = [[{"architecture":"%s","os":"linux","config":{
"User":"%d:%d","ExposedPorts":{"5000/tcp":{}},
"Env":["PATH=/usr/bin","TIDEGATE_LISTEN=:5000","TIDEGATE_DATA=/%s","RUNTIME_DIRECTORY=/%s"],
"Entrypoint":["/usr/bin/tidegate"],"Cmd":["serve","/etc/tidegate/registry.lua"],
"Volumes":{"/%s":{}},"WorkingDir":"/%s","StopSignal":"SIGTERM","Labels":{%s}},
"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},
"history":[{"created_by":"make image"}]}
]]

local function main()
  local machine = run("uname -m"):match("%S+")
  run("rm -rf %s && mkdir -p %s/blobs/sha256", FOLDER, FOLDER)
  add_program()
  add_files()
  local path = FOLDER .. "/layer.tar"
  write(path, tar())
  local plain = sha256(path)
  run("gzip -n -6 %s", path)
  local layer = add_blob("layer.v1.tar+gzip", nil, path .. ".gz")
  local arch = ARCH[machine] or machine
  local config = add_blob("config.v1+json",
    CONFIG:format(arch, USER, USER, DATA, RUN, DATA, DATA, LABELS, plain))
  local manifest = add_blob("manifest.v1+json",
    ('{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,'
      .. '"layers":[%s],"annotations":{%s}}'):format(config, layer, LABELS), nil,
    (',"annotations":{"org.opencontainers.image.ref.name":"%s"}'):format(VERSION))
  write(FOLDER .. "/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
  write(FOLDER .. "/index.json", ('{"schemaVersion":2,"manifests":[%s]}'):format(manifest))
  print(("%s: tidegate:%s for %s, %s"):format(FOLDER, VERSION, arch,
    manifest:match("sha256:%x+")))
end

main()
