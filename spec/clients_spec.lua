-- SPDX-License-Identifier: Apache-2.0
--
-- Real clients against a real gateway. A client that is not installed is reported as pending.
local image = require "spec.image"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local SIZES = { 10, 300000, 5000000 } -- bytes in the image's layers

describe("clients", function()
  local g, folder, digest

  setup(function()
    g = pusher.registry()
    folder = tool.tmpdir()
    digest = image.build(folder .. "/in", SIZES)
  end)

  teardown(function()
    g:stop()
    tool.remove(folder)
  end)

  -- `it`, if the program is there
  local function with(program, title, f)
    it(program .. " " .. title, function()
      if not tool.has(program) then pending(program .. " is not installed") end
      f()
    end)
  end

  local function tag_digest(repo, tag)
    local reply = g:request("HEAD", ("/v2/%s/manifests/%s"):format(repo, tag))
    return reply.header("docker-content-digest")
  end

  with("skopeo", "copies an image in and out, byte by byte", function()
    tool.must(("skopeo copy --dest-tls-verify=false oci:%s/in:v1 docker://%s/sko/peo:v1")
      :format(folder, g.address))
    assert.equal(digest, tag_digest("sko/peo", "v1"))
    tool.must(("skopeo copy --src-tls-verify=false docker://%s/sko/peo:v1 oci:%s/out:v1")
      :format(g.address, folder))
    local out = image.blobs(folder .. "/out")
    assert.same(image.blobs(folder .. "/in"), out)
    for name, sha256 in pairs(out) do assert.equal(name, sha256) end
  end)

  with("skopeo", "copies inside the registry, inspects, lists and deletes", function()
    tool.must(("skopeo copy --src-tls-verify=false --dest-tls-verify=false %s %s"):format(
      ("docker://%s/sko/peo:v1"):format(g.address), ("docker://%s/sko/copy:v2"):format(g.address)))
    local inspect = ("skopeo inspect --tls-verify=false docker://%s/sko/copy:v2"):format(g.address)
    assert.equal(digest, pusher.decode(tool.must(inspect)).Digest)
    local list = ("skopeo list-tags --tls-verify=false docker://%s/sko/copy"):format(g.address)
    assert.same({ "v2" }, pusher.decode(tool.must(list)).Tags)
    tool.must(("skopeo delete --tls-verify=false docker://%s/sko/copy:v2"):format(g.address))
    assert.is_nil(tag_digest("sko/copy", "v2"))
    assert.equal(digest, tag_digest("sko/peo", "v1"))
  end)

  with("podman", "pulls, tags and pushes", function()
    local podman = ("podman --root %s/podman --runroot %s/podman-run --storage-driver vfs "
      .. "--cgroup-manager cgroupfs "):format(folder, folder)
    pusher.blob(g, "pod", "x")
    if not tool.has("skopeo") then pending("skopeo is not installed") end
    tool.must(("skopeo copy --dest-tls-verify=false oci:%s/in:v1 docker://%s/pod/man:v1")
      :format(folder, g.address))
    tool.must(podman .. ("pull --quiet --tls-verify=false %s/pod/man:v1"):format(g.address))
    tool.must(podman .. ("tag %s/pod/man:v1 %s/pod/again:v2"):format(g.address, g.address))
    tool.must(podman .. ("push --quiet --tls-verify=false %s/pod/again:v2"):format(g.address))
    local text = g:request("GET", "/v2/pod/again/manifests/v2").body
    assert.equal(#SIZES, #pusher.decode(text).layers)
    tool.must(podman .. "rmi --all --force")
    tool.must(podman .. ("pull --quiet --tls-verify=false %s/pod/again:v2"):format(g.address))
    tool.must(podman .. "rmi --all --force")
  end)

  with("curl", "waits for 100 Continue before it sends a large blob", function()
    local text = tool.bytes(1500000, 5)
    tool.write(folder .. "/blob", text)
    local out = tool.must(("curl -sS -v -X POST --data-binary @%s/blob "
      .. "-H 'Content-Type: application/octet-stream' -H 'Expect: 100-continue' "
      .. "'http://%s/v2/curl/blobs/uploads/?digest=%s'")
      :format(folder, g.address, tool.digest(text)))
    assert.is_truthy(out:find("HTTP/1.1 100 Continue", 1, true), out)
    assert.is_truthy(out:find("HTTP/1.1 201", 1, true), out)
    assert.is_true(g:request("GET", "/v2/curl/blobs/" .. tool.digest(text)).body == text)
  end)
end)
