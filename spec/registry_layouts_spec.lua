-- SPDX-License-Identifier: Apache-2.0
--
-- Layouts of an operator's own: what is wrong with one is said while the script loads, and what
-- `with` makes of another one works.
local contract = require "apps.registry.contract"
local gateway = require "spec.gateway"
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local SCRIPT = [[
local gate = require "tidegate"
local registry = require "apps.registry"
local d = require "layouts.distribution"
local store, V2, with = gate.store.mem { name = "x" }, "docker/registry/v2/", d.with
local layout = %s
gate.serve {
  registry { store = store, layout = layout },
}
]]

local FORMS = { { form = "links", uploads = "append" }, { form = "records", uploads = "parts" } }

local A, B = "sha256:0123456789abc…cdef", "sha256:0123456789abc…cde0"
local BLOB, BLOB_B = ('blob("%s", "a")'):format(A), ('blob("%s", "a")'):format(B)
local ID = "01234567-89ab-8def-8…cdef"
local HOLE = "function() local l = with {} l.%s = nil return l end"

-- What a layout has instead of the default's, and what is said of it.
local WRONG = {
  -- what is no key
  { "blob = function(d) return d end, root = '/'",
    BLOB .. " is not below 'root', which is '/': 'sha256:0123" },
  { "blob = function(d) return 'elsewhere/' .. d end",
    "is not below 'root', which is 'docker/registry/v2/': 'elsewhere/sha256:0123" },
  { "root = 'images'", "its 'root' must end with \"/\" or be empty" },
  { "root = '/x/'", "is no key: '/x/" },
  { "root = '../'", "is no key: '../" },
  { "root = '.tidegate/'", "is no key: '.tidegate/" },
  { "root = '', repositories = ('long/'):rep(140)", "is no key: 'long/long/" },
  { "upload = function(repo, id) return V2 .. id end",
    ('upload("a", "%s") is no prefix that ends with "/"'):format(ID) },
  -- what is no pure function of its names
  { "blob = function(d) return store:read(d, 9) end", "store:read waits" },
  { "blob = function(d) return x.y end", BLOB .. " fails: " },
  { "blob = function(d) end", BLOB .. " returns a nil, not a string" },
  { "blob = function(d) return V2 .. gate.uuid() end", BLOB .. " is 'docker/registry/v2/" },
  -- two names, one key
  { "root = '', blob = function(d) return 'blobs/' .. d:sub(8, 40) end",
    BLOB .. " and " .. BLOB_B .. " have the same key: 'blobs/" },
  { "layer = function(repo, digest) return d.revision(repo, digest) end",
    ('layer("a", "%s") and revision("a", "%s") have the same key'):format(A, A) },
  { "tag_current = function(repo, tag) return d.tag_current(repo, tag:gsub('%.0', '')) end",
    'tag_current("a", "v1") and tag_current("a", "v1.0") have the same key' },
  { "layer = function(repo, digest) return d.layer(repo:gsub('/', '_'), digest) end",
    ('layer("a/b", "%s") and layer("a_b", "%s") have the same key'):format(A, A) },
  -- what belongs to one name and is another's
  { "upload_started = function(repo, id) return d.upload_data(repo, id) .. '/at' end",
    ('upload_data("a", "%s") would be a folder, for upload_started("a", '):format(ID) },
  { "upload = function() return V2 .. 'repositories/' end",
    ('is below upload("a", "%s"), where it does not belong'):format(ID) },
  { "upload_data = function(repo, id) return d.upload(repo, 'x') .. id end",
    ('is not below upload("a", "%s"), which is \'docker/'):format(ID) },
  -- what lists could not find, or would take for something else
  { "tags = function(repo) return V2 .. 'repositories/' .. repo .. '/_manifests/' end",
    "has to be 'docker/registry/v2/repositories/" },
  { "referrer = function(repo, s, digest) return d.referrers(repo, s) .. digest end",
    ('referrer("a", "%s", "%s") has to be \''):format(A, A) },
  { "root = '', repositories = ''", BLOB .. " would be taken for a repository 'blobs'" },
  { "marker = '_images'", "does not make a repository of 'a'" },
  { "reserved = 'x'", "its 'reserved' must be a character that no name of a" },
  { "trash = V2 .. 'repositories/x/'", "trash would be taken for a repository 'x'" },
  { "trash = 'trash/'", "its 'trash', 'trash/', is not below 'root'" },
  { "trash = V2 .. 'blobs/'", ", where it does not belong: 'docker/registry/v2/blobs/" },
  -- the other way round
  { "root = '', blob = function(d) return 'x/' .. d:sub(8, 9) .. '/' .. d:sub(10) end",
    ('\') is nil, and has to be blob("%s")'):format(A) },
  { "linked = function() end", "is nil, and has to be sha256:0123" },
  { "meaning = function(key) return store:stat(key) end",
    'meaning("docker/registry/v2/b…data") fails: ' },
}

-- Whole layouts, of which something is not there.
local MISSING = {
  { "function() local l = with {} l.tag_curent, l.tag_current = l.tag_current return l end",
    "it has no function 'tag_current(repo, tag)', what a tag names, did you mean 'tag_curent'?" },
  { HOLE:format "blob",
    "it has no function 'blob(content, repo)', the content of layers, configs and manifests" },
  { HOLE:format "marker", "it has no 'marker', the entry that makes a name a repository" },
  { "function() local l = with {} l.blob = 'blobs' return l end",
    "its 'blob', the content of layers, configs and manifests, must be a function, it is a st" },
  { "function() return {} end", "it has no 'marker'" },
  { "function() return setmetatable({ takes = false }, { __index = require 'layouts.zuul' }) end",
    "'_local/repos/manifests/manifests/v1'" },
  { "function() return { uploads = 'x' } end", "option 'layout': its 'uploads' cannot be \"x\"" },
}

describe("a layout", function()
  -- The script is refused, for that line.
  local function refuses(text, message, line)
    local ok, out = gateway.check(SCRIPT:format(text))
    assert.is_false(ok, text)
    assert(out:find(message, 1, true) and out:find(("gateway.lua:%d: "):format(line), 1, true),
      text .. "\n" .. out)
  end

  it("is refused by name and place when it is wrong", function()
    for _, case in ipairs(WRONG) do refuses("with { " .. case[1] .. " }", case[2], 7) end
    for _, case in ipairs(MISSING) do refuses("(" .. case[1] .. ")()", case[2], 7) end
    refuses("with { blbo = error }", "unknown option 'blbo', did you mean 'blob'?", 5)
    refuses("with { blob = 'blobs/' }", "'blob' must be a function, it is a string", 5)
  end)

  it("is taken when what is different holds together", function()
    for _, text in ipairs {
      "d", "with {}", "with { root = '' }", "with { root = 'x/', repositories = 'x/names/' }",
      "with { uploads = 'parts' }.with { root = 'y/' }",
      "with { root = '', blob = function(digest) return 'blobs/' .. digest end }",
      "setmetatable({ uploads = 'parts' }, { __index = d })",
      "require 'layouts.zuul'", "require('layouts.zuul').namespaced",
    } do
      local ok, out = gateway.check(SCRIPT:format(text))
      assert(ok, text .. "\n" .. out)
    end
  end)

  it("has every function in its documentation", function()
    local page = tool.read "docs/layouts.md"
    for _, form in ipairs(FORMS) do
      local needs = contract.of(form)
      for _, list in ipairs { needs.keys, needs.prefixes } do
        for _, one in ipairs(list) do
          local signature = ("`%s(%s)`"):format(one[1], table.concat(one[2], ", "))
          assert(page:find(signature, 1, true), signature)
        end
      end
      for name in pairs(needs.values) do assert(page:find(("`%s`"):format(name), 1, true), name) end
    end
  end)
end)

describe("examples/layout.lua", function()
  local g

  before_each(function() g = gateway.start { path = "examples/layout.lua" } end)
  after_each(function() g:stop() end)

  it("keeps blobs as an image layout does, which other tools can read", function()
    local digest, text = pusher.image(g, "team/app", "v1", 3)
    local files = g:files "blobs/sha256"
    assert.equal(3, #files)
    for _, name in ipairs(files) do
      assert.equal(name, tool.sha256(tool.read(g.data .. "/blobs/sha256/" .. name)))
    end
    assert.same({ "team/app" }, pusher.decode(g:request("GET", "/v2/_catalog").body).repositories)
    for _, command in ipairs { "verify", "usage" } do
      local ok, out = g:command(command .. " " .. g.path)
      assert(ok, out)
    end

    if not tool.has "skopeo" then pending "skopeo is not installed" end
    tool.write(g.data .. "/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
    tool.write(g.data .. "/index.json", json.encode { schemaVersion = 2, manifests = { {
      mediaType = pusher.IMAGE, digest = digest, size = #text,
      annotations = { ["org.opencontainers.image.ref.name"] = "v1" } } } })
    assert.equal(text, tool.must(("skopeo inspect --raw oci:%s:v1"):format(g.data)))
  end)

  it("goes on with uploads, and removes what it is told to", function()
    local blob = tool.bytes(5000, 4)
    local place = pusher.session(g, "team/app")
    g:request("PATCH", place, { body = blob:sub(1, 2000) })
    local reply = g:request("PUT", pusher.closing(place, tool.digest(blob)),
      { body = blob:sub(2001) })
    assert.equal(201, reply.status)
    local digest = pusher.image(g, "team/app", "v1", 3)
    pusher.image(g, "team/app/inner", "v1", 4)
    assert.equal(202, g:request("DELETE", "/v2/team/app/manifests/" .. digest).status)
    assert.same({ "team/app/inner" },
      pusher.decode(g:request("GET", "/v2/_catalog").body).repositories)
  end)
end)
