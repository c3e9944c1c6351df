-- SPDX-License-Identifier: Apache-2.0
--
-- Images made from nothing but a seed, for clients that want to push one: an OCI layout folder.
local json = require "dkjson"
local lfs = require "lfs"
local tool = require "spec.tool"

local MANIFEST = "application/vnd.oci.image.manifest.v1+json"
local CONFIG = "application/vnd.oci.image.config.v1+json"
local LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

local M = {}

local function add_blob(folder, text, media_type)
  local sha256 = tool.sha256(text)
  tool.write(folder .. "/blobs/sha256/" .. sha256, text)
  return { mediaType = media_type, digest = "sha256:" .. sha256, size = #text }
end

-- One layer: a tar with a file of so many random bytes. The same bytes for the same seed.
local function add_layer(folder, seed, size)
  local work = tool.tmpdir()
  tool.write(work .. "/file-" .. seed, tool.bytes(size, seed))
  local tar = ("tar -C %s --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf %s %s")
    :format(work, work .. "/layer.tar", "file-" .. seed)
  tool.must(tar .. (" && gzip -n -1 -k %s/layer.tar"):format(work))
  local plain = tool.digest(tool.read(work .. "/layer.tar"))
  local layer = add_blob(folder, tool.read(work .. "/layer.tar.gz"), LAYER)
  tool.remove(work)
  return layer, plain
end

-- Fills the folder, which is made, with an image under the tag "v1". `sizes` are those of the
-- files in its layers, in bytes. Returns the digest of its manifest.
function M.build(folder, sizes, seed)
  lfs.mkdir(folder)
  lfs.mkdir(folder .. "/blobs")
  lfs.mkdir(folder .. "/blobs/sha256")
  local layers, diffs = {}, {}
  for i, size in ipairs(sizes) do
    layers[i], diffs[i] = add_layer(folder, (seed or 1) * 1000 + i, size)
  end
  local config = add_blob(folder, json.encode {
    architecture = "amd64", os = "linux", config = { Cmd = { "/file" } },
    rootfs = { type = "layers", diff_ids = diffs },
  }, CONFIG)
  local manifest = add_blob(folder, json.encode {
    schemaVersion = 2, mediaType = MANIFEST, config = config, layers = layers,
  }, MANIFEST)
  manifest.annotations = { ["org.opencontainers.image.ref.name"] = "v1" }
  tool.write(folder .. "/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
  tool.write(folder .. "/index.json", json.encode { schemaVersion = 2, manifests = { manifest } })
  return manifest.digest
end

-- The blobs of an OCI layout folder: name -> SHA-256 of what is really in it.
function M.blobs(folder)
  local found = {}
  for _, name in ipairs(tool.files(folder .. "/blobs/sha256")) do
    found[name] = tool.sha256(tool.read(folder .. "/blobs/sha256/" .. name))
  end
  return found
end

return M
