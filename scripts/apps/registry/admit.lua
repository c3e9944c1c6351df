-- SPDX-License-Identifier: Apache-2.0
--
-- Which manifests are let in: the option `admit(m, q)`, asked when the manifest is decoded and its
-- blobs are here, and before anything of it is written. What it is told of the manifest is
--   m.digest, m.size, m.mediaType, m.artifactType
--   m.tags          those it is to have
--   m.annotations   a table, empty without any
--   m.config, m.subject, m.layers, m.manifests   descriptors, and lists of them; as they came
--   m.json          the whole, decoded
--   m:image()       the decoded configuration; nil if there is none, or it is no JSON object of at
--                   most 4 MiB. Waits
--   m:labels()      its labels; empty without any. Waits
local access = require "apps.registry.access"
local gate = require "tidegate"
local types = require "apps.registry.types"

local CONFIG_MAX = 4 * 1024 * 1024 -- bytes

local M = {}

local Manifest = {}
Manifest.__index = Manifest

local function table_at(value)
  return type(value) == "table" and value or {}
end

local function there(value)
  if types.is_there(value) then return value end
  return nil
end

-- The content of the configuration, read as the repository's own.
local function read_config(m)
  local reg, repo = m.reg, m.repo
  local target = m.config and reg.form.blob(reg, repo, m.config.digest)
  if not target then return nil end
  local text, e = gate.try(reg.store.read, reg.store, reg.layout.blob(target, repo), CONFIG_MAX)
  if not text and e and e.name ~= "TOO_LARGE" then error(e, 0) end
  local value = text and gate.try(gate.json.decode, text)
  return type(value) == "table" and value or nil
end

function Manifest:image()
  if self.read == nil then self.read = read_config(self) or false end
  return self.read or nil
end

function Manifest:labels()
  local image = self:image()
  return table_at(image and table_at(image.config).Labels)
end

-- Fails unless the manifest is let in. `facts` are its digest, size, mediaType and tags.
function M.ask(reg, q, doc, facts)
  if not reg.admit then return end
  facts.reg, facts.repo, facts.json = reg, q.repo, doc
  facts.artifactType = there(doc.artifactType)
  facts.annotations = table_at(doc.annotations)
  facts.config, facts.subject = there(doc.config), there(doc.subject)
  facts.layers, facts.manifests = table_at(doc.layers), table_at(doc.manifests)
  local ok, why = access.verdict("admit", q, reg.admit, setmetatable(facts, Manifest), q)
  gate.decided("admit", ok, why)
  if ok then return end
  access.deny(q, why or "this manifest is not let in", { digest = facts.digest })
end

return M
