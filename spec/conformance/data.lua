-- SPDX-License-Identifier: Apache-2.0
--
-- What the conformance cases push: images, indexes and artifacts of every shape that the
-- specification allows, made from a running number, so that no two share a blob by accident.
--
-- A set is { blobs, manifests, tags, referrers }: blobs and manifests are lists of
-- { digest, text, type, subject } in the order to push them, tags names digests, referrers lists
-- the descriptors that each subject has to have.
local json = require "dkjson"
local mime = require "mime"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local EMPTY = "application/vnd.oci.empty.v1+json"
local PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"
local KEPT_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
local CONFORMANCE1 = "application/vnd.oci.conformance.one"
local CONFORMANCE2 = "application/vnd.oci.conformance.two"
local NOTES = { ["org.opencontainers.conformance"] = "hello conformance" }
local PLATFORMS = {
  { os = "linux", architecture = "amd64" }, { os = "linux", architecture = "arm64" },
}

local M = {}

local serial = 0

local function fresh(size)
  serial = serial + 1
  return tool.bytes(size, serial * 7919)
end

local function array(list) return setmetatable(list, { __jsontype = "array" }) end

-- "sha512:…" of a text
function M.digest(algorithm, text)
  return algorithm .. ":" .. tool[algorithm](text)
end

local function new_set()
  return { blobs = {}, manifests = {}, tags = {}, referrers = {}, seen = {} }
end

local function copy(t, more)
  local out = {}
  for _, from in ipairs { t, more or {} } do
    for name, value in pairs(from) do out[name] = value end
  end
  return out
end

-- Adds a blob; returns its descriptor.
local function blob(set, o, text, media_type)
  local digest = M.digest(o.algorithm or "sha256", text)
  if not set.seen[digest] then set.blobs[#set.blobs + 1] = { digest = digest, text = text } end
  set.seen[digest] = true
  return { mediaType = media_type, digest = digest, size = #text,
    data = o.data and mime.b64(text) or nil }
end

-- Adds a manifest; returns its descriptor.
local function manifest(set, o, doc)
  doc.schemaVersion, doc.artifactType, doc.subject = 2, o.artifact, o.subject
  if o.annotations then
    doc.annotations = copy(o.annotations)
    if o.subject then doc.annotations["org.example." .. serial] = "only here " .. serial end
  end
  if o.extra then doc["org.example.extra" .. serial] = "kept " .. serial end
  local text = json.encode(doc)
  local digest = M.digest(o.algorithm or "sha256", text)
  set.manifests[#set.manifests + 1] = { digest = digest, text = text, type = doc.mediaType,
    subject = o.subject and o.subject.digest }
  if o.tag then set.tags[o.tag] = digest end
  if o.subject then
    local list = set.referrers[o.subject.digest] or {}
    set.referrers[o.subject.digest] = list
    list[#list + 1] = { mediaType = doc.mediaType, digest = digest, size = #text,
      artifactType = o.artifact or doc.config and doc.config.mediaType,
      annotations = doc.annotations }
  end
  return { mediaType = doc.mediaType, digest = digest, size = #text }
end

local function config(set, o)
  if o.artifact then return blob(set, o, "{}", EMPTY) end
  serial = serial + 1
  local platform = o.platform or PLATFORMS[1]
  return blob(set, o, json.encode { os = platform.os, architecture = platform.architecture,
    created = "serial " .. serial, ["org.example.extra"] = o.extra and "kept" or nil,
    rootfs = { type = "layers", diff_ids = array {} } }, pusher.CONFIG)
end

local function image(set, o)
  local layers = array {}
  for i = 1, o.layers or (o.artifact and 1 or 2) do
    layers[i] = blob(set, o, o.layer_text or fresh(1024), o.layer or o.artifact or pusher.LAYER)
  end
  for i, layer in ipairs(o.foreign or {}) do table.insert(layers, i, layer) end
  return manifest(set, o,
    { mediaType = pusher.IMAGE, config = config(set, o), layers = layers })
end

local function index(set, o, children)
  local listed = array {}
  for i, platform in ipairs(o.platforms or PLATFORMS) do
    local child = children and children[i]
      or image(set, copy(o, { platform = platform, tag = false }))
    listed[i] = copy(child, { platform = not children and platform or nil })
  end
  return manifest(set, o, { mediaType = pusher.INDEX, manifests = listed })
end

local ARTIFACT1 = { artifact = CONFORMANCE1, annotations = NOTES }
local ARTIFACT2 = { artifact = CONFORMANCE2, annotations = NOTES, layer = "text/plain" }

local function large_notes()
  local notes = {}
  for i = 1, 390 do notes["large-annotation-" .. i] = ("A"):rep(10000) end
  return notes
end

local function foreign(media_type)
  local digest = tool.digest(fresh(64))
  return { mediaType = media_type, digest = digest, size = 12345,
    urls = array { "https://store.example.com/" .. digest } }
end

-- Every manifest gets a tag of its own, the last one two: beside its digest, in the same push.
local function tag_by_parameter(set, name)
  for i, m in ipairs(set.manifests) do
    m.tags = { name .. "-" .. i }
    set.tags[name .. "-" .. i] = m.digest
  end
  local last = set.manifests[#set.manifests]
  last.tags[2], set.tags[name] = name, last.digest
end

-- { name, function(set) … end } in the order of the suite.
M.sets = {
  { "image", function(s) image(s, { tag = "image" }) end },
  { "image-uncompressed", function(s) image(s, { tag = "uncompressed", layer = PLAIN_LAYER }) end },
  { "large-manifest", function(s) image(s, { tag = "large", annotations = large_notes() }) end },
  { "index", function(s) index(s, { tag = "index" }) end },
  { "nested-index", function(s)
    local inner = { index(s, {}), index(s, {}) }
    index(s, { tag = "index-of-index" }, inner)
  end },
  { "empty-index", function(s) index(s, { tag = "empty-index", platforms = {} }) end },
  { "artifact", function(s) image(s, { tag = "artifact", artifact = CONFORMANCE1 }) end },
  { "artifact-index", function(s)
    index(s, { tag = "artifact-index", artifact = CONFORMANCE1 })
  end },
  { "artifact-without-layers", function(s)
    image(s, { tag = "no-layers", artifact = CONFORMANCE1, layer_text = "{}", layer = EMPTY })
  end },
  { "artifacts-with-subject", function(s)
    local subject = image(s, { tag = "image" })
    image(s, { subject = subject })
    image(s, copy(ARTIFACT1, { subject = subject, tag = "tagged-artifact1" }))
    image(s, copy(ARTIFACT2, { subject = subject, tag = "tagged-artifact2" }))
  end },
  { "index-with-subject", function(s)
    local subject = index(s, { tag = "index" })
    index(s, copy(ARTIFACT1, { subject = subject, tag = "tagged-artifact" }))
  end },
  { "missing-subject", function(s)
    local subject = { mediaType = pusher.IMAGE, size = 123, digest = tool.digest("never pushed") }
    image(s, copy(ARTIFACT1, { subject = subject, tag = "tagged-artifact" }))
  end },
  { "data-field", function(s) image(s, { tag = "data-field", data = true }) end },
  { "non-distributable-layers", function(s)
    image(s, { tag = "non-distributable", layers = 1,
      foreign = { foreign(KEPT_LAYER .. "+gzip"), foreign(KEPT_LAYER) } })
  end },
  { "custom-fields", function(s) index(s, { tag = "custom-fields", extra = true }) end },
  { "no-layers", function(s) image(s, { tag = "no-layers", layers = 0 }) end },
  { "sparse", function(s)
    image(s, { tag = "sparse-image" })
    table.remove(s.blobs, 1)
    local missing = { mediaType = pusher.IMAGE, digest = tool.digest(fresh(64)), size = 1024 }
    index(s, { tag = "sparse-index" }, { image(s, {}), missing })
  end },
  { "sha512", function(s) index(s, { algorithm = "sha512" }) end },
  { "tag-param-sha256", function(s)
    index(s, {})
    tag_by_parameter(s, "tag-param-sha256")
  end },
  { "tag-param-sha512", function(s)
    index(s, { algorithm = "sha512" })
    tag_by_parameter(s, "tag-param-sha512")
  end },
}

-- The sets of these names; all without a list.
function M.select(names)
  if not names then return M.sets end
  local list = {}
  for _, entry in ipairs(M.sets) do
    for _, name in ipairs(names) do
      if entry[1] == name then list[#list + 1] = entry end
    end
  end
  return list
end

-- What a named set holds.
function M.make(build)
  local set = new_set()
  build(set)
  return set
end

-- A blob that is in no set: { digest, text }.
function M.blob(algorithm, size)
  local text = type(size) == "string" and size or fresh(size)
  return { digest = M.digest(algorithm, text), text = text }
end

-- One image alone: its blobs and its manifest.
function M.image()
  local set = new_set()
  image(set, {})
  return set
end

return M
