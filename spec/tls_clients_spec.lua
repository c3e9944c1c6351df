-- SPDX-License-Identifier: Apache-2.0
--
-- Real clients against examples/tls.lua: they verify the server, and show certificates.
local certs = require "spec.certs"
local gateway = require "spec.gateway"
local image = require "spec.image"
local lfs = require "lfs"
local tool = require "spec.tool"

describe("clients with TLS", function()
  local g, folder, ca, digest

  setup(function()
    folder = tool.tmpdir()
    ca = certs.authority(folder, "ca")
    ca:sign("server", "IP:127.0.0.1,DNS:localhost")
    local client = ca:sign("client", "DNS:ci.example")
    g = gateway.start { path = "examples/tls.lua", env = { TIDEGATE_TLS = folder } }
    digest = image.build(folder .. "/in", { 10, 300000, 5000000 })
    for _, name in ipairs { "anyone", "known" } do -- as below /etc/containers/certs.d
      lfs.mkdir(folder .. "/" .. name)
      tool.must(("cp %s %s/%s/ca.crt"):format(ca.cert, folder, name))
    end
    tool.must(("cp %s %s/known/client.cert && cp %s %s/known/client.key"):format(client.cert,
      folder, client.key, folder))
  end)

  teardown(function()
    g:stop()
    tool.remove(folder)
  end)

  local function with(program, title, f)
    it(program .. " " .. title, function()
      if not tool.has(program) then pending(program .. " is not installed") end
      f()
    end)
  end

  with("skopeo", "pushes with a certificate and pulls without", function()
    local push = "skopeo copy --dest-cert-dir %s/%s oci:%s/in:v1 docker://%s/sko/peo:v1"
    local ok, out = tool.run(push:format(folder, "anyone", folder, g.address))
    assert.is_false(ok)
    assert.truthy(out:find("pushing needs a client's certificate", 1, true) or
      out:find("denied", 1, true) or out:find("unauthorized", 1, true), out)
    tool.must(push:format(folder, "known", folder, g.address))
    tool.must(("skopeo copy --src-cert-dir %s/anyone docker://%s/sko/peo:v1 oci:%s/out:v1")
      :format(folder, g.address, folder))
    local blobs = image.blobs(folder .. "/out")
    assert.same(image.blobs(folder .. "/in"), blobs)
    ok, out = tool.run(("skopeo inspect docker://%s/sko/peo:v1"):format(g.address))
    assert.is_false(ok)
    assert.truthy(out:find("certificate signed by unknown authority", 1, true), out)
  end)

  with("podman", "pulls, tags and pushes", function()
    if not tool.has("skopeo") then pending("skopeo is not installed") end
    local podman = ("podman --root %s/podman --runroot %s/podman-run --storage-driver vfs "
      .. "--cgroup-manager cgroupfs "):format(folder, folder)
    tool.must(("skopeo copy --dest-cert-dir %s/known oci:%s/in:v1 docker://%s/pod/man:v1")
      :format(folder, folder, g.address))
    tool.must(podman .. ("pull --quiet --cert-dir %s/anyone %s/pod/man:v1"):format(folder,
      g.address))
    tool.must(podman .. ("tag %s/pod/man:v1 %s/pod/again:v2"):format(g.address, g.address))
    tool.must(podman .. ("push --quiet --cert-dir %s/known %s/pod/again:v2"):format(folder,
      g.address))
    tool.must(podman .. "rmi --all --force")
  end)

  with("curl", "verifies the server by any of its names, and shows its own certificate", function()
    local curl = ("curl -sS -w ' %%{http_code}' --cacert %s "):format(ca.cert)
    assert.equal("{} 200", tool.must(curl .. ("https://%s/v2/"):format(g.address)))
    local port = g.address:match "%d+$"
    assert.equal("{} 200", tool.must(curl .. ("https://localhost:%s/v2/"):format(port)))
    local ok, out = tool.run(("curl -sS https://%s/v2/"):format(g.address))
    assert.is_false(ok)
    assert.truthy(out:find("certificate", 1, true), out)
    local post = "-X POST https://%s/v2/curl/blobs/uploads/ -o /dev/null "
    assert.truthy(tool.must(curl .. post:format(g.address)):find(" 40[13]$"))
    out = tool.must(curl .. post:format(g.address) .. ("--cert %s/known/client.cert --key "
      .. "%s/known/client.key -D -"):format(folder, folder))
    assert.truthy(out:find(" 202$"), out)
    assert.truthy(out:find("\nLocation: /v2/curl/", 1, true), out) -- a path, whatever the way here
  end)

  it("find the same image behind them", function()
    local reply = g:request("HEAD", "/v2/sko/peo/manifests/v1", { tls = { ca = ca.cert } })
    assert.equal(digest, reply.header("docker-content-digest"))
  end)
end)
