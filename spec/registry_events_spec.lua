-- SPDX-License-Identifier: Apache-2.0
--
-- The registry's events: what is told of each change, beside the request and in order.
local pusher = require "spec.pusher"
local socket = require "socket"
local tool = require "spec.tool"

-- Every event is a line of the log; the first push hangs until told otherwise by a repository.
local ON = [[
  on = (function()
    local on = {}
    for _, name in ipairs { "manifest.pushed", "manifest.deleted", "tag.deleted", "blob.pushed",
      "blob.mounted" } do
      on[name] = function(e)
        assert(e.user.name == "" and #e.id == 16 and math.abs(e.at - gate.now()) < 60)
        if e.tag == "slow" then gate.sleep "1s" end
        if e.tag == "broken" then error "a mistake of the hook" end
        if e.tag == "failing" then gate.fail(400, "HOOK", "the hook fails") end
        gate.log.info("event " .. name, { repo = e.repo, tag = e.tag, digest = e.digest,
          type = e.type, size = e.size, from = e.from })
      end
    end
    return on
  end)(),
]]

describe("an event", function()
  local g
  setup(function() g = pusher.registry(ON) end)
  teardown(function() g:stop() end)

  local function told(name, ...)
    local parts = { 'msg="event ' .. name:gsub("%p", "%%%0") .. '"' }
    for _, field in ipairs { ... } do
      parts[#parts + 1] = "%f[^ ]" .. field:gsub("%p", "%%%0") .. "%f[%s]"
    end
    -- fields come in any order
    for _ = 1, 1500 do
      for line in g:log():gmatch "[^\n]+" do
        local all = true
        for _, part in ipairs(parts) do all = all and line:find(part) end
        if all then return end
      end
      socket.sleep(0.004)
    end
    error("not told: " .. table.concat(parts, " ") .. "\n" .. g:log(), 2)
  end

  it("tells of blobs that are pushed in every way, and mounted", function()
    local body = tool.bytes(1000, 3)
    local digest = tool.digest(body)
    local reply = g:request("POST", "/v2/e/one/blobs/uploads/?digest=" .. digest, { body = body })
    assert.equal(201, reply.status)
    told("blob.pushed", "repo=e/one", "digest=" .. digest, "size=1000")

    local at = g:request("POST", "/v2/e/two/blobs/uploads/").header "location"
    assert.equal(202, g:request("PATCH", at, { body = body:sub(1, 600) }).status)
    assert.equal(201, g:request("PUT", at .. "?digest=" .. digest, { body = body:sub(601) }).status)
    told("blob.pushed", "repo=e/two", "digest=" .. digest, "size=1000")

    at = g:request("POST", "/v2/e/three/blobs/uploads/").header "location"
    assert.equal(201, g:request("PUT", at .. "?digest=" .. digest, { body = body }).status)
    told("blob.pushed", "repo=e/three", "size=1000")

    local path = ("/v2/e/four/blobs/uploads/?mount=%s&from=e/one"):format(digest)
    assert.equal(201, g:request("POST", path).status)
    told("blob.mounted", "repo=e/four", "digest=" .. digest, "from=e/one")
  end)

  it("tells of manifests and tags", function()
    local text = pusher.image_text(g, "e/img")
    local digest = tool.digest(text)
    pusher.put_manifest(g, "e/img", "v1", text)
    told("manifest.pushed", "repo=e/img", "tag=v1", "digest=" .. digest, "type=" .. pusher.IMAGE,
      "size=" .. #text)
    pusher.put_manifest(g, "e/img", "v2", text)
    pusher.put_manifest(g, "e/img", "v3", text)
    assert.equal(202, g:request("DELETE", "/v2/e/img/manifests/v1").status)
    told("tag.deleted", "repo=e/img", "tag=v1", "digest=" .. digest)
    assert.equal(202, g:request("DELETE", "/v2/e/img/manifests/" .. digest).status)
    told("tag.deleted", "tag=v2", "digest=" .. digest)
    told("tag.deleted", "tag=v3", "digest=" .. digest)
    told("manifest.deleted", "repo=e/img", "digest=" .. digest)
  end)

  it("is told beside the request, and after the one before it", function()
    local text = pusher.image_text(g, "e/slow")
    local c = g:raw() -- one worker
    local head = { headers = { ["Content-Type"] = pusher.IMAGE }, body = text }
    local began = socket.gettime()
    assert.equal(201, c:request("PUT", "/v2/e/slow/manifests/slow", head).status)
    assert.equal(201, c:request("PUT", "/v2/e/slow/manifests/quick", head).status)
    assert.is_true(socket.gettime() - began < 0.9)
    told("manifest.pushed", "repo=e/slow", "tag=quick")
    assert.truthy(g:log():find "event manifest.pushed.-slow.-event manifest.pushed.-quick")
    c:close()
  end)

  it("that fails is in the log, and the next one is told", function()
    local text = pusher.image_text(g, "e/bad")
    local c = g:raw()
    local head = { headers = { ["Content-Type"] = pusher.IMAGE }, body = text }
    for _, tag in ipairs { "broken", "failing", "good" } do
      assert.equal(201, c:request("PUT", "/v2/e/bad/manifests/" .. tag, head).status)
    end
    told("manifest.pushed", "repo=e/bad", "tag=good")
    assert.truthy(g:logged "a mistake of the hook.-stack traceback")
    assert.truthy(g:logged "an event's function failed.-the hook fails")
    c:close()
  end)

  it("that nobody knows is a load error", function()
    local ok, why = pcall(pusher.registry, [[ on = { ["manifest.push"] = function() end } ]])
    assert.is_false(ok)
    assert.truthy(why:find "gateway.lua:%d+: registry: option 'on' knows no 'manifest.push'", why)
    ok, why = pcall(pusher.registry, [[ on = { ["tag.deleted"] = 7 } ]])
    assert.is_false(ok)
    assert.truthy(why:find("'tag.deleted' must be a function", 1, true), why)
  end)
end)

describe("events that wait", function()
  it("are said to be lost when there are too many, or when the gateway stops", function()
    local g = pusher.registry [[
      on = { ["tag.deleted"] = function() gate.sleep "1h" end },
    ]]
    local text = pusher.image_text(g, "e/many")
    local c = g:raw()
    local head = { headers = { ["Content-Type"] = pusher.IMAGE }, body = text }
    for i = 1, 3 do
      assert.equal(201, c:request("PUT", "/v2/e/many/manifests/t" .. i, head).status)
      assert.equal(202, c:request("DELETE", "/v2/e/many/manifests/t" .. i).status)
    end
    c:close()
    local signal = require "posix.signal"
    signal.kill(g.pid, signal.SIGTERM)
    assert.truthy(g:logged "draining")
    signal.kill(g.pid, signal.SIGTERM)
    assert.truthy(g:logged "event lost.-event lost.-event lost")
    g:wait()
    g:stop()
  end)
end)
