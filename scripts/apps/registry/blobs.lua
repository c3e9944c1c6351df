-- SPDX-License-Identifier: Apache-2.0
--
-- Blobs: read as the repository's own, so that it shows only what it has.
local access = require "apps.registry.access"
local gate = require "tidegate"
local names = require "apps.registry.names"
local quota = require "apps.registry.quota"
local record = require "apps.registry.record"
local reply = require "apps.registry.reply"

local owners = gate.shared("registry.owners", { size = "1m" })

local FOREVER = { immutable = true } -- content never changes under its digest

local M = {}

-- The digest of the path, and of the content it stands for; 404 unless the repository owns it.
local function find(reg, q)
  local digest = q.params.digest
  if not names.digest(digest) then
    gate.fail(400, "DIGEST_INVALID", "no digest of a blob", { digest = digest })
  end
  q:note { digest = digest }
  local target = reg.form.blob(reg, q.repo, digest)
  if not target then
    gate.fail(404, "BLOB_UNKNOWN", "no such blob in this repository", { digest = digest })
  end
  return digest, target
end

-- Does the repository own the blob, and is its content there? Returns its SHA-256 digest.
function M.has(reg, repo, digest)
  local target = reg.form.blob(reg, repo, digest)
  return target and reg.store:stat(reg.layout.blob(target, repo)) and target
end

-- Makes the repository own the blob, and remembers that it does: for a mount that does not say
-- from where. It may be forgotten, and another gateway does not know it.
function M.own(reg, repo, digest, target)
  reg.form.own_blob(reg, repo, digest, target)
  owners:set(reg.id .. "|" .. digest, repo)
  if digest ~= target then owners:set(reg.id .. "|" .. target, repo) end
end

-- A repository that has owned the blob lately, or nil.
function M.owner(reg, digest)
  return owners:get(reg.id .. "|" .. digest)
end

function M.routes(app, reg)
  app:get("/{repo...}/blobs/{digest}", function(q)
    access.enter(reg, q, "pull")
    local digest, target = find(reg, q)
    local blob = reg.store:open(reg.layout.blob(target, q.repo), FOREVER)
    if not blob then
      gate.fail(404, "BLOB_UNKNOWN", "the blob's content is gone", { digest = digest })
    end
    blob.etag = digest
    return reply(200, blob, {
      ["Content-Type"] = "application/octet-stream",
      ["Docker-Content-Digest"] = digest,
      ["Cache-Control"] = "max-age=31536000",
    })
  end)

  app:delete("/{repo...}/blobs/{digest}", function(q)
    access.enter(reg, q, "delete")
    if not reg.form.owns then
      gate.fail(405, "UNSUPPORTED", "a blob is not this repository's alone")
    end
    local digest, target = find(reg, q)
    record.change(reg, q, { blob = digest }, reg.form.disown_blob, reg, q.repo, digest, target)
    quota.drop(reg, q.repo, target)
    return reply(202)
  end)
end

return M
