-- SPDX-License-Identifier: Apache-2.0
--
-- Images made by hand, for clients that want to push one, and read again after they have pulled:
-- OCI layout folders.
local json = require "dkjson"
local lfs = require "lfs"
local tool = require "spec.tool"

local INDEX = "application/vnd.oci.image.index.v1+json"
local MANIFEST = "application/vnd.oci.image.manifest.v1+json"
local CONFIG = "application/vnd.oci.image.config.v1+json"
local LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

local TAR = "tar -C %s --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf %s %s"

local M = {}

local function add_blob(folder, text, media_type)
  local sha256 = tool.sha256(text)
  tool.write(folder .. "/blobs/sha256/" .. sha256, text)
  return { mediaType = media_type, digest = "sha256:" .. sha256, size = #text }
end

-- One layer: a tar with one file. The same bytes for the same text.
local function add_layer(folder, name, text)
  local work = tool.tmpdir()
  tool.write(work .. "/" .. name, text)
  tool.must(TAR:format(work, work .. "/layer.tar", name) .. (" && gzip -n -1 -k %s/layer.tar")
    :format(work))
  local plain = tool.digest(tool.read(work .. "/layer.tar"))
  local layer = add_blob(folder, tool.read(work .. "/layer.tar.gz"), LAYER)
  tool.remove(work)
  return layer, plain
end

local function begin(folder)
  lfs.mkdir(folder)
  lfs.mkdir(folder .. "/blobs")
  lfs.mkdir(folder .. "/blobs/sha256")
  tool.write(folder .. "/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
end

local function finish(folder, descriptor)
  descriptor.annotations = { ["org.opencontainers.image.ref.name"] = "v1" }
  tool.write(folder .. "/index.json",
    json.encode { schemaVersion = 2, manifests = { descriptor } })
  return descriptor.digest
end

-- An image of files, a list of { name, text }, each in a layer of its own; its descriptor.
local function add_image(folder, files, arch)
  local layers, diffs = {}, {}
  for i, file in ipairs(files) do
    layers[i], diffs[i] = add_layer(folder, file[1], file[2])
  end
  local config = add_blob(folder, json.encode {
    architecture = arch, os = "linux", config = { Cmd = { "/file" } },
    rootfs = { type = "layers", diff_ids = diffs },
  }, CONFIG)
  return add_blob(folder, json.encode {
    schemaVersion = 2, mediaType = MANIFEST, config = config, layers = layers,
  }, MANIFEST)
end

local function list_of(files)
  local list = {}
  for name, text in pairs(files) do list[#list + 1] = { name, text } end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

-- Fills the folder, which is made, with an image under the tag "v1". `sizes` are those of the
-- files in its layers, in bytes; the seed decides what is in them. Returns the digest of its
-- manifest.
function M.build(folder, sizes, seed)
  local files = {}
  for i, size in ipairs(sizes) do
    local number = (seed or 1) * 1000 + i
    files[i] = { "file-" .. number, tool.bytes(size, number) }
  end
  begin(folder)
  return finish(folder, add_image(folder, files, "amd64"))
end

-- The same with files of the caller, name -> text.
function M.pack(folder, files)
  begin(folder)
  return finish(folder, add_image(folder, list_of(files), "amd64"))
end

-- An image for several architectures, architecture -> files. Returns the digest of its index.
function M.pack_index(folder, of)
  local manifests = {}
  begin(folder)
  for arch, files in pairs(of) do
    local image = add_image(folder, list_of(files), arch)
    image.platform = { os = "linux", architecture = arch }
    manifests[#manifests + 1] = image
  end
  table.sort(manifests, function(a, b) return a.digest < b.digest end)
  local text = json.encode { schemaVersion = 2, mediaType = INDEX, manifests = manifests }
  return finish(folder, add_blob(folder, text, INDEX))
end

-- The text of a blob of an OCI layout folder, which must be what its name says.
function M.blob(folder, digest)
  local text = assert(tool.read(folder .. "/blobs/" .. digest:gsub(":", "/")), digest)
  assert(tool.digest(text) == digest, "the blob is not what its name says")
  return text
end

-- The text behind a manifest's descriptor, or behind the one for that architecture below it.
local function manifest_of(folder, digest, arch)
  local m = json.decode(M.blob(folder, digest))
  for _, d in ipairs(m.manifests or {}) do
    if d.platform.architecture == arch then return manifest_of(folder, d.digest, arch) end
  end
  return m
end

-- The files of the layout's first image, or of the one for that architecture: name -> text.
function M.unpack(folder, arch)
  local index = json.decode(tool.read(folder .. "/index.json"))
  local manifest = manifest_of(folder, index.manifests[1].digest, arch or "amd64")
  local work, files = tool.tmpdir(), {}
  for _, layer in ipairs(manifest.layers) do
    M.blob(folder, layer.digest)
    tool.must(("tar -C %s -xf %s/blobs/%s"):format(work, folder, layer.digest:gsub(":", "/")))
  end
  for _, name in ipairs(tool.files(work)) do files[name] = tool.read(work .. "/" .. name) end
  tool.remove(work)
  return files
end

-- Makes the folder and brings in the image for that architecture below a digest: get(digest,
-- path) puts a blob there. Returns the files, as unpack does.
function M.collect(folder, digest, arch, get)
  begin(folder)
  local function bring(d) get(d, folder .. "/blobs/" .. d:gsub(":", "/")) end
  local function descend(d)
    bring(d)
    local manifest = json.decode(M.blob(folder, d))
    for _, child in ipairs(manifest.manifests or {}) do
      if child.platform.architecture == arch then return descend(child.digest) end
    end
    for _, layer in ipairs(manifest.layers) do bring(layer.digest) end
  end
  descend(digest)
  finish(folder, { digest = digest })
  return M.unpack(folder, arch)
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
