-- SPDX-License-Identifier: Apache-2.0
--
-- Our own image: made without root, network or container tools, the same bytes every time, kept by
-- ourselves, and running from what was pulled back.
local gateway = require "spec.gateway"
local image = require "spec.image"
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"
local unistd = require "posix.unistd"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"
local LARGEST = 25 * 2 ^ 20 -- bytes of all blobs; the program and its libraries are 9 MB

describe("the image of the program", function()
  local folder, layout

  local function make(name)
    tool.must(("luajit .ci/image.lua %s 1.2.3 %s/%s"):format(PROGRAM, folder, name))
    return image.blobs(folder .. "/" .. name)
  end

  -- Instrumented programs need what no image holds.
  local function plain_only()
    if tool.sanitizer ~= "" then pending "for the program without sanitizers" end
    if not layout then
      make "image"
      layout = folder .. "/image"
    end
  end

  setup(function() folder = tool.tmpdir() end)
  teardown(function() tool.remove(folder) end)

  -- The layer, as files below a folder.
  local function unpack_layer(from, to)
    local index = json.decode(tool.read(from .. "/index.json"))
    local manifest = json.decode(image.blob(from, index.manifests[1].digest))
    assert.equal(1, #manifest.layers)
    tool.must(("mkdir %s && tar -C %s -xzf %s/blobs/%s"):format(to, to, from,
      manifest.layers[1].digest:gsub(":", "/")))
    return json.decode(image.blob(from, manifest.config.digest)).config
  end

  it("is the same from the same program, and small", function()
    plain_only()
    local first, size = image.blobs(layout), 0
    assert.same(first, make "again")
    for name, sha256 in pairs(first) do
      assert.equal(name, sha256)
      size = size + #tool.read(layout .. "/blobs/sha256/" .. name)
    end
    assert.truthy(size < LARGEST, size)
  end)

  it("holds the program, libraries, authorities and examples, and runs as a user", function()
    plain_only()
    local config = unpack_layer(layout, folder .. "/look")
    assert.equal("10001:10001", config.User)
    for _, name in ipairs(tool.files(folder .. "/look")) do
      assert.truthy(name:find "^lib/[%w_-]+/lib[%w_+.-]+$" or name:find "^lib64/ld%-"
        or name:find "^lib/ld%-" or name:find "^usr/share/tidegate/examples/.*%.lua$"
        or name == "usr/bin/tidegate" or name == "usr/share/doc/tidegate/LICENSE"
        or name:find "^etc/", name)
    end
    assert.truthy(tool.read(folder .. "/look/etc/ssl/certs/ca-certificates.crt"):find "BEGIN CERT")
    assert.is_nil(tool.run(("find %s/look -perm /6022 ! -type l | grep ."):format(folder)) or nil)
  end)

  it("is pushed to itself, pulled back, and serves what it is", function()
    plain_only()
    if not tool.has "skopeo" then pending "skopeo is not installed" end
    local g = pusher.registry()
    tool.must(("skopeo copy -q --dest-tls-verify=false oci:%s:1.2.3 docker://%s/tide/gate:1.2.3")
      :format(layout, g.address))
    tool.must(("skopeo copy -q --src-tls-verify=false docker://%s/tide/gate:1.2.3 oci:%s/back:v")
      :format(g.address, folder))
    g:stop()
    assert.same(image.blobs(layout), image.blobs(folder .. "/back"))
    local root = folder .. "/root"
    local config = unpack_layer(folder .. "/back", root)
    local enter = ("/usr/sbin/chroot --userspec=%s %s"):format(config.User, root)
    if unistd.geteuid() ~= 0 then
      enter = "unshare --user --map-root-user /usr/sbin/chroot " .. root
      if not tool.run "unshare --user --map-root-user true" then
        pending "neither root nor a user namespace"
      end
    end
    local command = { "exec env -i" }
    for _, variable in ipairs(config.Env) do command[#command + 1] = tool.quote(variable) end
    command[#command + 1] = "TIDEGATE_LISTEN=127.0.0.1:0"
    command[#command + 1] = enter
    for _, list in ipairs { config.Entrypoint, config.Cmd } do
      for _, word in ipairs(list) do command[#command + 1] = tool.quote(word) end
    end
    local run = gateway.spawn { command = { "sh", "-c", table.concat(command, " ") } }
    pusher.image(run, "a/b", "v1", 1)
    assert.equal(200, run:request("GET", "/v2/a/b/manifests/v1").status)
    assert.truthy(tool.must(("env -i %s %s /usr/bin/tidegate status"):format(
      tool.quote(config.Env[4]), enter)):find("/var/lib/tidegate", 1, true))
    run.strict = true
    run:stop()
  end)
end)
