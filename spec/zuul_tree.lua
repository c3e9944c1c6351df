-- SPDX-License-Identifier: Apache-2.0
--
-- What zuul-registry 1.3.0 wrote when an image was pushed with two media types behind one tag, once
-- more by its digest, and a further upload was begun.
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local OCI = pusher.IMAGE
local DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
local CONFIG, LAYER, UPLOAD = '{"seed":1}', "layer", ("x"):rep(100)
local CONFIG_DIGEST, LAYER_DIGEST = tool.digest(CONFIG), tool.digest(LAYER)

local function manifest(media_type)
  return ('{"schemaVersion": 2, "mediaType": "%s", "config": {"mediaType": "c", "digest": "%s", '
    .. '"size": 10}, "layers": [{"mediaType": "l", "digest": "%s", "size": 5}]}')
    :format(media_type, CONFIG_DIGEST, LAYER_DIGEST)
end

local TEXTS = { [OCI] = manifest(OCI), [DOCKER] = manifest(DOCKER) }
local DIGESTS = { [OCI] = tool.digest(TEXTS[OCI]), [DOCKER] = tool.digest(TEXTS[DOCKER]) }
local ID = "e8a70f1bebb04bf5a68c26ef938a141b"
local BLOBS, REPO = "_local/blobs/", "_local/repos/ci/app/manifests/"
local TREE = {
  [BLOBS .. CONFIG_DIGEST .. "/data"] = CONFIG,
  [BLOBS .. LAYER_DIGEST .. "/data"] = LAYER,
  [BLOBS .. DIGESTS[OCI] .. "/data"] = TEXTS[OCI],
  [BLOBS .. DIGESTS[DOCKER] .. "/data"] = TEXTS[DOCKER],
  [REPO .. "v1"] = ('{"%s": "%s", "%s": "%s"}'):format(OCI, DIGESTS[OCI], DOCKER, DIGESTS[DOCKER]),
  [REPO .. DIGESTS[OCI]] = ('{"%s": "%s"}'):format(OCI, DIGESTS[OCI]),
  ["_local/uploads/" .. ID .. "/1"] = UPLOAD,
  ["_local/uploads/" .. ID .. "/metadata"] = '{"chunks": [{"size": 100, "md5": '
    .. '"aed563ecafb4bcc5654c597a421547b2"}], "hash_state": {"hash": '
    .. '"izLNRtB3LUTkFY4Z7RRy4jWkKhg27M7g4pIpW4Wt/94=\\n", "counter": 64, "buffer": '
    .. '"eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\\n"}}',
}

local M = {
  OCI = OCI, DOCKER = DOCKER, TEXTS = TEXTS, DIGESTS = DIGESTS, ID = ID, BLOBS = BLOBS, REPO = REPO,
  TREE = TREE, CONFIG = CONFIG, LAYER = LAYER, UPLOAD = UPLOAD, CONFIG_DIGEST = CONFIG_DIGEST,
  LAYER_DIGEST = LAYER_DIGEST,
}

-- The files below a folder that are not the store's own, with their texts.
function M.tree_of(root)
  local tree = {}
  for _, name in ipairs(tool.files(root)) do
    if not name:find "^%.?tidegate/" then tree[name] = tool.read(root .. "/" .. name) end
  end
  return tree
end

-- Makes the directory.
function M.plant(root)
  for name, text in pairs(TREE) do
    tool.must("mkdir -p " .. tool.quote(root .. "/" .. name:match "^(.*)/"))
    tool.write(root .. "/" .. name, text)
  end
end

-- GET of a manifest, or another method.
function M.get(g, repo, ref, accept, method)
  return g:request(method or "GET", ("/v2/%s/manifests/%s"):format(repo, ref),
    { headers = { Accept = accept } })
end

-- Pushes the same image, as it was pushed then.
function M.push(g)
  pusher.blob(g, "ci/app", CONFIG)
  local location = pusher.session(g, "ci/app")
  assert(g:request("PATCH", location, { body = "lay" }).status == 202, "a part is taken")
  assert(g:request("PATCH", location, { body = "er" }).status == 202, "another part is taken")
  local reply = g:request("PUT", location .. "?digest=" .. LAYER_DIGEST)
  assert(reply.status == 201, "the upload ends")
  for _, push in ipairs { { OCI, "v1" }, { DOCKER, "v1" }, { OCI, DIGESTS[OCI] } } do
    reply = pusher.put_manifest(g, "ci/app", push[2], TEXTS[push[1]], push[1])
    assert(reply.status == 201, "the manifest is pushed")
  end
end

return M
