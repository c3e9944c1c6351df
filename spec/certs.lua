-- SPDX-License-Identifier: Apache-2.0
--
-- Certificates for specs, made by openssl(1): an authority, and what it signs.
--
--   local ca = certs.authority(folder, "ca")         ca.cert
--   local a = ca:sign("a", "DNS:a.example,DNS:*.a.example")      a.cert, a.key, a.names
local tool = require "spec.tool"

local M = {}

local authority = {}
authority.__index = authority

local function quiet(command, ...)
  tool.must(command:format(...) .. " 2>&1")
end

local function make(folder, name)
  return { name = name, cert = ("%s/%s.pem"):format(folder, name),
    key = ("%s/%s.key"):format(folder, name) }
end

function M.authority(folder, name)
  local self = setmetatable(make(folder, name), authority)
  self.folder = folder
  quiet("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
    .. "-subj /CN=%s -keyout %s -out %s", name, self.key, self.cert)
  return self
end

-- A certificate that names these; O=Spec, CN=name. options: days (may be negative), rsa.
function authority:sign(name, names, options)
  options = options or {}
  local c = make(self.folder, name)
  local kind = options.rsa and "rsa:2048" or "ec -pkeyopt ec_paramgen_curve:P-256"
  tool.write(c.cert .. ".ext", "subjectAltName=" .. names .. "\n")
  quiet("openssl req -newkey %s -nodes -subj /O=Spec/CN=%s -keyout %s -out %s.csr", kind, name,
    c.key, c.cert)
  quiet("openssl x509 -req -in %s.csr -CA %s -CAkey %s -days %d -extfile %s.ext -out %s", c.cert,
    self.cert, self.key, options.days or 30, c.cert, c.cert)
  return c
end

return M
