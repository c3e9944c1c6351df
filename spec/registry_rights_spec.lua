-- SPDX-License-Identifier: Apache-2.0
--
-- What follows from `allow`: the answers to who may not, lists that show what a user may pull,
-- mounts that tell nothing, and mistakes of the hook, which open no door.
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local LATE = "ran longer than 50ms" -- in the log, of code that would never end

local HOOK = [[
  auth = { challenge = 'Basic realm="spec"', identify = function(q)
    return { name = q.headers["x-user"] or "" }
  end },
  allow = (function()
    local slow = gate.store.mem { name = "slow", delay = "1s" }
    local broken = {
      ["broken/error"] = function() error "a mistake" end,
      ["broken/typed"] = function() return disk:copy("no", "yes") end,
      ["broken/away"] = function() gate.http.get "http://127.0.0.1:1/" end,
      ["broken/late"] = function() return slow:read("x", 1) ~= nil end,
      ["broken/loop"] = function() while true do end end,
      ["broken/caught"] = function() while true do pcall(function() while true do end end) end end,
      ["broken/string"] = function() return "no, never" end,
      ["broken/number"] = function() return 1 end,
      ["broken/table"] = function() return {} end,
      ["broken/label"] = function() return true, 7 end,
    }
    return function(q)
      if broken[q.repo] then return broken[q.repo](q) end
      if q.user.name == "ann" then return true, "ann may do all" end
      if q.action == "catalog" then return true end
      if q.repo == "nothing" then return nil end
      if q.action == "mount" then return q.repo ~= "b/unmounted" end
      if q.tag and q.tag:sub(1, 4) == "rel-" then return false, "releases are not out" end
      return q.repo:sub(1, 2) == "b/" or q.repo == "open", "only b/ is for everybody"
    end
  end)(),
]]

local DIGEST = tool.digest("x")

describe("a user who may not", function()
  local g

  setup(function()
    g = pusher.registry(HOOK, { config = "limits = { slice = '50ms', wait = '200ms' }" })
    for _, repo in ipairs { "b/one", "b/two", "secret/a", "secret/b", "open" } do
      local push = g:request("POST", ("/v2/%s/blobs/uploads/?digest=%s"):format(repo, DIGEST),
        { body = "x", headers = { ["X-User"] = "ann" } })
      assert.equal(201, push.status)
      for _, tag in ipairs { "v1", "rel-1", "v2", "rel-2" } do
        local put = g:request("PUT", ("/v2/%s/manifests/%s"):format(repo, tag),
          { body = '{"manifests":[]}', headers = { ["X-User"] = "ann" } })
        assert.equal(201, put.status)
      end
    end
  end)
  teardown(function() g:stop() end)

  local function call(method, path, user, body)
    return g:request(method, "/v2/" .. path, { headers = { ["X-User"] = user }, body = body })
  end

  it("gets the same answer whether or not something is there", function()
    local there = { "secret/a/manifests/v1", "secret/a/blobs/" .. DIGEST, "secret/a/tags/list" }
    local absent = { "secret/z/manifests/v9", "secret/z/blobs/" .. tool.digest "y",
      "secret/z/tags/list" }
    for i, path in ipairs(there) do
      for _, method in ipairs { "GET", "HEAD" } do
        for user, status in pairs { bob = 403, [""] = 401 } do
          local a, b = call(method, path, user), call(method, absent[i], user)
          assert.equal(status, a.status)
          assert.equal(status, b.status)
          assert.equal(a.body, (b.body:gsub("secret/z", "secret/a"):gsub("v9", "v1")))
          assert.equal(status == 401 and 'Basic realm="spec"' or nil, a.header "www-authenticate")
          assert.equal(a.header "content-length", b.header "content-length")
        end
      end
    end
  end)

  it("reads the reason, and what it is about", function()
    local reply = call("GET", "b/one/manifests/rel-1", "bob")
    assert.equal(403, reply.status)
    local e = pusher.decode(reply.body).errors[1]
    assert.same({ code = "DENIED", message = "releases are not out",
      detail = { action = "pull", name = "b/one", tag = "rel-1" } }, e)
  end)

  it("sees the reason in skopeo and podman", function()
    local command = "skopeo copy --src-tls-verify=false docker://%s/b/one:rel-1 dir:%s/x"
    local folder = tool.tmpdir()
    local ok, out = tool.run(command:format(g.address, folder) .. " 2>&1")
    tool.remove(folder)
    assert.is_false(ok)
    assert.truthy(out:find "releases are not out" or out:find "unauthorized", out)
  end)

  it("does not see it in the catalog, and the pages go on", function()
    local list = { "b/one", "b/two", "open" }
    assert.same(list, pusher.decode(call("GET", "_catalog", "bob").body).repositories)
    local seen, path = {}, "_catalog?n=1"
    while path do
      local reply = call("GET", path, "bob")
      for _, name in ipairs(pusher.decode(reply.body).repositories) do seen[#seen + 1] = name end
      path = (reply.header "link" or ""):match "^</v2/([^>]*)>"
      assert.is_nil(path and path:find("secret", 1, true))
    end
    assert.same(list, seen)
    assert.equal(5, #pusher.decode(call("GET", "_catalog", "ann").body).repositories)
  end)

  it("does not see tags that he may not pull", function()
    assert.same({ "v1", "v2" }, pusher.decode(call("GET", "b/one/tags/list", "bob").body).tags)
    local reply = call("GET", "b/one/tags/list?n=1", "bob")
    assert.same({ "v1" }, pusher.decode(reply.body).tags)
    reply = call("GET", reply.header "link":match "^</v2/([^>]*)>", "bob")
    assert.same({ "v2" }, pusher.decode(reply.body).tags)
    assert.is_nil(reply.header "link")
    assert.equal(4, #pusher.decode(call("GET", "b/one/tags/list", "ann").body).tags)
  end)

  it("gets an upload for a mount, and learns nothing", function()
    local cases = {
      { "b/three", "secret/a", 202 }, -- is there, is not for bob
      { "b/three", "secret/z", 202 }, -- is not there
      { "b/three", "nothing", 202 },
      { "b/unmounted", "b/one", 202 }, -- no mounts into this one
      { "b/three", "b/one", 201 },
    }
    for _, case in ipairs(cases) do
      local reply = call("POST", ("%s/blobs/uploads/?mount=%s&from=%s"):format(case[1], DIGEST,
        case[2]), "bob")
      assert.equal(case[3], reply.status, case[2])
      if case[3] == 202 then
        assert.truthy(reply.header "location":find "^/v2/b/[a-z]+/blobs/uploads/[%x-]+$")
        assert.equal("", reply.body)
      end
    end
    assert.equal(403, call("POST", "secret/a/blobs/uploads/?mount=" .. DIGEST .. "&from=b/one",
      "bob").status)
  end)

  it("does not go on with an upload of another user", function()
    local place = pusher.place(call("POST", "b/one/blobs/uploads/", "bob")):sub(5)
    assert.equal(202, call("PATCH", place, "bob", "abc").status)
    for _, user in ipairs { "ann", "" } do
      for _, method in ipairs { "GET", "PATCH", "PUT", "DELETE" } do
        local reply = call(method, pusher.closing(place, tool.digest "abc"), user, "x")
        assert.equal(404, reply.status)
        assert.equal("BLOB_UPLOAD_UNKNOWN", (pusher.code(reply)))
      end
    end
    assert.equal(201, call("PUT", pusher.closing(place, tool.digest "abc"), "bob").status)
  end)

  it("is everybody when the hook has a mistake", function()
    local cases = {
      { "error", "a mistake" },
      { "typed", "an option's function failed[^\n]*NOT_FOUND" },
      { "away", "an option's function failed[^\n]*UPSTREAM" },
      { "late", "an option's function failed[^\n]*TIMEOUT" },
      { "loop", LATE },
      { "caught", LATE },
      { "string", "allow must return true, or false and a reason, it returned a string" },
      { "number", "it returned a number" },
      { "table", "it returned a table" },
      { "label", "allow must return a string behind the verdict, it returned a number" },
    }
    for i = #cases, 1, -1 do
      if cases[i][2] == LATE and not tool.watchdog_works then table.remove(cases, i) end
    end
    for _, case in ipairs(cases) do
      for _, path in ipairs { "manifests/v1", "blobs/" .. DIGEST, "tags/list" } do
        local reply = call("GET", ("broken/%s/%s"):format(case[1], path), "ann")
        assert.equal(500, reply.status, case[1])
        assert.is_nil(reply.body:find("mistake", 1, true))
      end
      assert.equal(500, call("POST", ("broken/%s/blobs/uploads/"):format(case[1]), "ann").status)
      assert.truthy(g:logged(case[2]), case[2])
    end
    assert.equal(200, call("GET", "b/one/manifests/v1", "bob").status)
  end)
end)

-- Tags as folders, which is quicker than pushes: more than one request looks at, and one behind.
local function fill(data)
  local tags = data .. "/docker/registry/v2/repositories/r/_manifests/tags"
  tool.must(([[mkdir -p %s/z && cd %s && seq -f 'h%%04.0f' 2100 | xargs mkdir &&
    touch z/link && seq -f 'h%%04.0f/link' 2100 | xargs touch]]):format(tags, tags))
end

describe("a list that leaves out more than one request looks at", function()
  local data, g, other
  local OPTIONS = [[ allow = function(q) return q.tag == nil or q.tag == "z" end ]]

  setup(function()
    data = tool.tmpdir()
    fill(data)
    g = pusher.registry(OPTIONS, { data = data })
    other = pusher.registry(OPTIONS, { data = data })
  end)
  teardown(function()
    g:stop()
    other:stop()
    tool.remove(data)
  end)

  it("ends a page early, and tells no name that is left out", function()
    local reply = g:request("GET", "/v2/r/tags/list?n=5")
    assert.equal('{"name":"r","tags":[]}', reply.body)
    local path = reply.header "link":match "^<([^>]*)>"
    assert.truthy(path:find "^/v2/r/tags/list%?n=5&at=[%x-]+$", path)
    for _, gateway in ipairs { g, other } do -- the other one has never heard of the token
      reply = gateway:request("GET", path)
      assert.same({ "z" }, pusher.decode(reply.body).tags)
      assert.is_nil(reply.header "link")
    end
    for _, at in ipairs { "x", ("0"):rep(36), ("0"):rep(3000) } do
      reply = g:request("GET", "/v2/r/tags/list?last=h2050&at=" .. at)
      assert.same({ "z" }, pusher.decode(reply.body).tags)
    end
  end)
end)
