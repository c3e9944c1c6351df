-- SPDX-License-Identifier: Apache-2.0
--
-- What most specs of the registry do first: a registry with default options, and small content
-- in it.
local gateway = require "spec.gateway"
local json = require "dkjson"
local tool = require "spec.tool"

local M = {}

M.IMAGE = "application/vnd.oci.image.manifest.v1+json"
M.INDEX = "application/vnd.oci.image.index.v1+json"
M.CONFIG = "application/vnd.oci.image.config.v1+json"
M.LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

-- A gateway with one registry; `options` is the text of its further options, `config` of the
-- configuration's, `store` of the store's.
function M.registry(options, more)
  more = more or {}
  return gateway.start {
    data = more.data,
    script = ([[
      local gate = require "tidegate"
      local registry = require "apps.registry"
      gate.config { listen = gate.env("TIDEGATE_LISTEN"), workers = 2, %s }
      local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA"), %s }
      gate.serve { registry { store = disk, %s } }
    ]]):format(more.config or "", more.store or "", options or ""),
  }
end

-- The JSON of a body.
function M.decode(text)
  local value, _, why = json.decode(text, 1, nil)
  return value or error("not JSON: " .. why .. "\n" .. text, 2)
end

-- The code and the detail of an error reply, after a look at its form.
function M.code(reply)
  assert(reply.header("content-type") == "application/json", "an error is JSON")
  local errors = M.decode(reply.body).errors
  assert(#errors == 1 and type(errors[1].message) == "string", "an error has a message")
  return errors[1].code, errors[1].detail
end

-- Where a reply says that the upload goes on; other registries give whole addresses.
function M.place(reply)
  return (reply.header("location"):gsub("^https?://[^/]+", ""))
end

-- The address that ends an upload there.
function M.closing(location, digest)
  local join = location:find("?", 1, true) and "&" or "?"
  return ("%s%sdigest=%s"):format(location, join, digest)
end

-- A session; returns its place.
function M.session(g, repo)
  local reply = g:request("POST", ("/v2/%s/blobs/uploads/"):format(repo))
  assert(reply.status == 202, "a session begins")
  return M.place(reply)
end

-- Pushes a blob as containerd does; returns its descriptor.
function M.blob(g, repo, text, media_type)
  local digest = tool.digest(text)
  local reply = g:request("PUT", M.closing(M.session(g, repo), digest), { body = text })
  assert(reply.status == 201, "the blob is pushed")
  return { mediaType = media_type or M.LAYER, digest = digest, size = #text }
end

-- The text of an image manifest whose blobs are pushed first. `seed` makes it differ.
function M.image_text(g, repo, seed)
  return json.encode {
    schemaVersion = 2, mediaType = M.IMAGE,
    config = M.blob(g, repo, '{"seed":' .. (seed or 0) .. "}", M.CONFIG),
    layers = { M.blob(g, repo, tool.bytes(512, seed)) },
  }
end

-- PUT of a manifest; returns the reply.
function M.put_manifest(g, repo, ref, text, media_type)
  return g:request("PUT", ("/v2/%s/manifests/%s"):format(repo, ref), {
    body = text, headers = { ["Content-Type"] = media_type or M.IMAGE },
  })
end

-- Pushes an image under a tag; returns its digest and its text.
function M.image(g, repo, tag, seed)
  local text = M.image_text(g, repo, seed)
  assert(M.put_manifest(g, repo, tag, text).status == 201, "the manifest is pushed")
  return tool.digest(text), text
end

return M
