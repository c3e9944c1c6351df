-- SPDX-License-Identifier: Apache-2.0
--
-- An image as a client would push it, for the specs of policies: its blobs, then its manifest.
local check = require("tidegate.check").check
local core = require "tidegate.core"
local json = require "tidegate.json"

local M = {}

local MANIFEST = "application/vnd.oci.image.manifest.v1+json"
local CONFIG = "application/vnd.oci.image.config.v1+json"
local LAYER = "application/vnd.oci.image.layer.v1.tar"

local PUSH = {
  repo = { "string", needed = true }, tag = { "string", default = "latest" }, user = "any",
  groups = "table", headers = "table", address = "string", tls = "table",
  prefix = { "string", default = "/v2" },
  labels = { "table", default = {} }, annotations = "table", layers = { "table", default = {} },
  type = { "string", default = MANIFEST },
}

local function digest_of(text)
  return "sha256:" .. core.hash("sha256", text)
end

local function descriptor(kind, text)
  return { mediaType = kind, digest = digest_of(text), size = #text }
end

-- Sends all of it by request(options). Returns the first reply that refuses, or the last one,
-- that of the manifest; with the field digest.
function M.push(request, options)
  local o = check(options, PUSH, "push")
  local function send(method, path, body, kind)
    local headers = { ["content-type"] = kind }
    for name, value in pairs(o.headers or {}) do
      headers[name:lower()] = value
    end
    return request { method = method, path = ("%s/%s/%s"):format(o.prefix, o.repo, path),
      user = o.user, groups = o.groups, address = o.address,
      tls = o.tls, body = body, headers = headers }
  end
  local config = json.encode { architecture = "amd64", os = "linux",
    config = { Labels = o.labels }, rootfs = { type = "layers", diff_ids = json.array {} } }
  local layers, blobs = json.array {}, { config }
  for i, text in ipairs(o.layers) do
    layers[i], blobs[i + 1] = descriptor(LAYER, text), text
  end
  for _, text in ipairs(blobs) do
    local reply = send("POST", "blobs/uploads/?digest=" .. digest_of(text), text,
      "application/octet-stream")
    if reply.status >= 400 then
      return reply
    end
  end
  local manifest = json.encode { schemaVersion = 2, mediaType = o.type,
    config = descriptor(CONFIG, config), layers = layers, annotations = o.annotations }
  local reply = send("PUT", "manifests/" .. o.tag, manifest, o.type)
  reply.digest = digest_of(manifest)
  return reply
end

return M
