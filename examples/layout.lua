-- SPDX-License-Identifier: Apache-2.0
--
-- A layout of one's own: a blob is one file, blobs/sha256/HEX, as in an OCI image layout, instead
-- of a folder with a file; the repositories lie beside them, as the distribution registry has them.
-- Half as many inodes, and tools that know image layouts (skopeo oci:, umoci) read the blobs in
-- place once an index.json beside them names a manifest. docs/layouts.md says what can be changed.
local gate = require "tidegate"
local distribution = require "layouts.distribution"
local registry = require "apps.registry"

gate.config { listen = gate.env("TIDEGATE_LISTEN", "127.0.0.1:5000") }

local layout = distribution.with {
  root = "", -- repositories/… and blobs/…, without docker/registry/v2 in front
  blob = function(digest) return "blobs/" .. digest:gsub(":", "/") end,
}

local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA", "./data") }
gate.serve { registry { store = disk, layout = layout }, gate.health "/healthz" }
