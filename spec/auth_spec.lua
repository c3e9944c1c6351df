-- SPDX-License-Identifier: Apache-2.0
--
-- Who is asking: files of users, their order, what is remembered and what is not told.
local gateway = require "spec.gateway"
local mime = require "mime"
local pusher = require "spec.pusher"
local socket = require "socket"
local tool = require "spec.tool"
local users = require "spec.users"

local SECRETS = { "tr0ub4dor", "c0rrecth0rse", "gu3ssed" }
local ANN, BOB, WRONG = unpack(SECRETS)

-- An application that says who asks, behind the authenticator that `who` is the text of.
local function script(who, options)
  return ([[
    local gate = require "tidegate"
    local auth = require "auth"
    gate.config { workers = 2, log = { level = "debug" },
      listen = { address = gate.env("TIDEGATE_LISTEN", ":0"), trust = { "127.0.0.1" } } }
    local who = %s
    local app = gate.app { prefix = "/who" }
    local function tell(q)
      local user = who.identify(q) or gate.fail(401, "UNAUTHORIZED", "who are you?")
      local groups = {}
      for name in pairs(user.groups or {}) do groups[#groups + 1] = name end
      table.sort(groups)
      return gate.reply(200, user.name .. "/" .. table.concat(groups, ",") .. "/"
        .. (user.refused or ""))
    end
    app:get("/", tell)
    app:post("/", tell)
    local registry = require "apps.registry" {
      store = gate.store.mem { name = "auth" }, auth = who, %s }
    gate.serve { registry, app }
  ]]):format(who, options or "")
end

local function file()
  return "# people\n\n" .. users.line("ann", ANN) .. "\r\n" .. users.line("bob", BOB) .. "\n"
end

-- Nothing that was kept secret is in a text, in no form that was sent.
local function assert_silent(text)
  for _, secret in ipairs(SECRETS) do
    assert.is_nil(text:find(secret, 1, true))
    for _, name in ipairs { "ann", "bob", "eve" } do
      assert.is_nil(text:find(mime.b64(name .. ":" .. secret), 1, true))
    end
  end
  assert.is_nil(text:find "%$2b%$%d")
end

local function who(g, name, password, method)
  local reply = g:request(method or "GET", "/who", name and users.as(name, password))
  return reply.status == 200 and reply.body or reply.status
end

describe("auth.htpasswd", function()
  local g

  setup(function()
    g = users.start(script [[auth.htpasswd("users", { groups = "groups", realm = "spec" })]], {
      users = file(), groups = "# teams\nbuilders: ann  eve\nall: ann bob\n",
    })
  end)
  teardown(function()
    assert_silent(g:log())
    users.stop(g)
  end)

  it("knows names, passwords and groups", function()
    for _ = 1, 3 do
      assert.equal("ann/all,builders/", who(g, "ann", ANN))
      assert.equal("bob/all/", who(g, "bob", BOB))
      assert.equal(401, who(g, "ann", BOB))
      assert.equal(401, who(g, "eve", ANN))
      assert.equal(401, who(g))
    end
  end)

  it("answers unknown names, wrong passwords and nothing alike", function()
    local function refusal(name, password)
      local reply = g:request("GET", "/v2/", users.as(name, password))
      return { reply.status, reply.body, reply.header "www-authenticate" }
    end
    local known = refusal("ann", WRONG)
    assert.same(known, refusal("eve", WRONG))
    assert.same(known, refusal("", WRONG))
    assert.equal('Basic realm="spec"', known[3])
    assert.equal(401, known[1])
  end)

  it("says how to log in with every 401 of a registry", function()
    for _, path in ipairs { "", "_catalog", "a/tags/list", "a/manifests/v1", "a/blobs/x" } do
      local reply = g:request("GET", "/v2/" .. path)
      assert.equal(401, reply.status)
      assert.equal('Basic realm="spec"', reply.header "www-authenticate")
      assert.equal("UNAUTHORIZED", (pusher.code(reply)))
    end
    assert.equal(200, g:request("GET", "/v2/", users.as("ann", ANN)).status)
  end)

  it("refuses what is no Basic header, and says nothing of it", function()
    local token = mime.b64("ann:" .. ANN)
    for _, header in ipairs {
      "Basic", "Basic ", "Basic =", "Basic " .. ANN, "Basic " .. mime.b64("ann" .. ANN),
      "Basic " .. token:sub(1, -2), "Basic  " .. token .. "x", "Basic " .. token .. " x",
      "Basic " .. token .. "," .. token, "Digest " .. token, "Negotiate " .. token, token,
      "Basic " .. mime.b64(("n"):rep(256) .. ":" .. ANN), "Basic:" .. token,
      "Basic " .. mime.b64("ann:" .. ANN .. "\0"), "Bearer a." .. token .. ".b",
    } do
      for _, path in ipairs { "/who", "/v2/" } do
        local reply = g:request("GET", path, { headers = { Authorization = header } })
        assert.equal(401, reply.status, header)
        assert_silent(reply.body)
      end
    end
    assert.equal(200, g:request("GET", "/who", {
      headers = { Authorization = "bASIC   " .. token },
    }).status)
  end)

  it("takes the password as a token, too", function()
    local token = { headers = { Authorization = "Bearer " .. mime.b64("bob:" .. BOB) } }
    assert.equal("bob/all/", g:request("GET", "/who", token).body)
  end)
end)

describe("a file of users", function()
  it("is read again when it changes, and stays when it is bad", function()
    local g = users.start(script [[auth.htpasswd "users"]], { users = file() })
    local clients = { g:raw(), g:raw() } -- one on each worker
    local function status(name, password)
      local one = clients[1]:request("GET", "/who", users.as(name, password)).status
      local two = clients[2]:request("GET", "/who", users.as(name, password)).status
      return one == two and one
    end
    local function becomes(wanted, name, password)
      for _ = 1, 1500 do
        if status(name, password) == wanted then return end
        socket.sleep(0.005)
      end
      error(name .. " does not become " .. wanted, 2)
    end
    assert.equal(200, status("ann", ANN))
    assert.equal(200, status("bob", BOB))
    tool.write(g.home .. "/users", users.line("ann", WRONG) .. "\n")
    becomes(401, "ann", ANN) -- though it was remembered
    becomes(200, "ann", WRONG)
    becomes(401, "bob", BOB)
    tool.write(g.home .. "/users", users.line("bob", BOB) .. "\nann:$apr1$salt$digest\n")
    local fault = "cannot be used[^\n]*file=users[^\n]*users:2: the hash of user 'ann' must be "
      .. "bcrypt %(%$2b%$%), it is Apache's MD5"
    assert.truthy(g:logged(fault .. ".*" .. fault))
    assert.equal(200, status("ann", WRONG))
    tool.write(g.home .. "/users", users.line("bob", BOB) .. "\n")
    becomes(200, "bob", BOB)
    becomes(401, "ann", WRONG)
    for _, c in ipairs(clients) do c:close() end
    assert_silent(g:log())
    users.stop(g)
  end)

  local GOOD = "ann:" .. ("$2b$04$" .. ("."):rep(53))
  for text, message in pairs {
    ["ann"] = "users:1: NAME:HASH is expected",
    [":" .. GOOD] = "users:1: this is no name of a user",
    ["a b:" .. GOOD] = "users:1: this is no name of a user",
    [GOOD .. "\n\n" .. GOOD] = "users:3: user 'ann' is in line 1 already",
    ["ann:secret"] = "users:1: the hash of user 'ann' must be bcrypt ($2b$), it is an unknown",
    ["ann:rl.3StKT.4T8M"] = "it is DES-crypt",
    ["ann:$1$abc$OGyl6dDvZCDiGmIVbeuCq/"] = "it is MD5-crypt ($1$)",
    [GOOD:gsub("04", "31")] = "it is bcrypt of a cost that is not from 4 to 15",
    [GOOD .. ":more"] = "it is a malformed bcrypt hash",
  } do
    it("is refused at load: " .. message, function()
      local ok, out = gateway.check(script [[auth.htpasswd "users"]], { users = text })
      assert.is_false(ok)
      assert.truthy(out:find(message, 1, true), out)
      assert.falsy(out:find("secret", 1, true))
    end)
  end

  it("may be empty, and is large when it has to be", function()
    assert(gateway.check(script [[auth.htpasswd "users"]], { users = "" }))
    local lines = {}
    for i = 1, 20000 do lines[i] = "user" .. i .. GOOD:sub(4) end
    local g = users.start(script [[auth.htpasswd "users"]], { users = table.concat(lines, "\n") })
    assert.equal(401, who(g, "user20000", WRONG))
    users.stop(g)
  end)
end)

describe("the options of auth", function()
  for text, message in pairs {
    ["auth.htpasswd()"] = "auth.htpasswd: the name of a file is expected",
    ['auth.htpasswd "absent"'] = "gate.file: absent: No such file or directory",
    ['auth.htpasswd("users", { group = "g" })'] = "unknown option 'group', did you mean 'groups'?",
    ['auth.htpasswd("users", { remember = "2d" })'] = "'remember' must be from - to 86400",
    ['auth.htpasswd("users", { memory = "1k" })'] = "'memory' must be from 65536 to",
    ["auth.htpasswd(\"users\", { realm = 'a\"b' })"] = "'realm' holds no quotes",
    ['auth.htpasswd("users", { groups = "gateway.lua" })'] = "gateway.lua:1: GROUP: NAME NAME",
    ["auth.first()"] = "auth.first: a list of authenticators is expected",
    ["auth.first {}"] = "auth.first: a list of authenticators is expected",
    ["auth.first { 7 }"] = "auth.first: number 1 is no authenticator",
    ["auth.first { auth.anonymous, a = 1 }"] = "auth.first: unknown option 'a'",
    ['auth.first { auth.anonymous, auth.htpasswd "users" }'] = "nothing behind number 1 is ever",
  } do
    it("are refused at load: " .. message, function()
      local ok, out = gateway.check(script(text), { users = "" })
      assert.is_false(ok)
      assert.truthy(out:find(message, 1, true), out)
    end)
  end
end)

describe("what is remembered", function()
  local function cost_of(g, n, f)
    local before = users.worked(g)
    for i = 1, n do f(i) end
    return (users.worked(g) - before) / n
  end

  -- at cost 9 one check takes 30 ms of a processor, wherever that is
  local function start(options)
    return users.start(script('auth.htpasswd("users", { ' .. (options or "") .. " })"),
      { users = users.line("ann", ANN, 9) .. "\n" .. users.line("bob", BOB, 9) })
  end

  it("spares the work, for wrong ones too, and no longer than it is told to", function()
    local g = start()
    local once = cost_of(g, 8, function(i) who(g, "ann", WRONG .. i) end)
    local right = cost_of(g, 30, function() assert.equal("ann//", who(g, "ann", ANN)) end)
    local wrong = cost_of(g, 30, function() assert.equal(401, who(g, "ann", WRONG)) end)
    users.stop(g)
    assert.is_true(right < once / 3 and wrong < once / 3, right .. " " .. wrong .. " " .. once)
    g = start "remember = 0"
    right = cost_of(g, 8, function() assert.equal("ann//", who(g, "ann", ANN)) end)
    users.stop(g)
    assert.is_true(right > once / 2, right .. " " .. once)
  end)

  it("tells by no time whether a name is known", function()
    local g = start()
    local known = cost_of(g, 12, function(i) assert.equal(401, who(g, "bob", WRONG .. i)) end)
    local unknown = cost_of(g, 12, function(i) assert.equal(401, who(g, "eve" .. i, WRONG)) end)
    users.stop(g)
    assert.is_true(unknown > known * 0.6 and unknown < known * 1.6, known .. " " .. unknown)
  end)
end)

describe("auth.first", function()
  local g

  setup(function()
    g = users.start(script([[auth.first { auth.htpasswd "people", auth.htpasswd "robots",
      auth.anonymous }]], [[
      allow = function(q)
        if q.action == "pull" then return q.repo ~= "secret" or q.user.name == "ann", "a secret" end
        return q.user.name ~= "", "only users push"
      end]]), {
      people = file(),
      robots = users.line("ci", WRONG) .. "\n" .. users.line("ann", WRONG),
    })
  end)
  teardown(function()
    assert_silent(g:log())
    users.stop(g)
  end)

  it("asks one file after the other, and takes nobody for nobody", function()
    assert.equal("ann//", who(g, "ann", ANN))
    assert.equal("ann//", who(g, "ann", WRONG)) -- of the robots
    assert.equal("ci//", who(g, "ci", WRONG))
    assert.equal("//", who(g))
    assert.equal("//", who(g, "", "")) -- so skopeo says that it has no password
  end)

  it("lets wrong credentials read what everybody may, and change nothing", function()
    for _, user in ipairs { "bob", "eve" } do
      assert.equal("//wrong user name or password", who(g, user, WRONG))
      assert.equal("", who(g, user, WRONG, "HEAD"))
      assert.equal(401, who(g, user, WRONG, "POST"))
    end
    local hub = { headers = { Authorization = "Bearer eyJhbGciOi.J9.eyJpc3M" } }
    assert.equal("//wrong user name or password", g:request("GET", "/who", hub).body)
    assert.equal(401, g:request("POST", "/who", hub).status)
  end)

  it("pulls with the credentials of another registry, unless it is a secret", function()
    local digest = tool.digest "x"
    for _, repo in ipairs { "open", "secret" } do
      local reply = g:request("POST", ("/v2/%s/blobs/uploads/?digest=%s"):format(repo, digest),
        users.as("ann", ANN, { body = "x" }))
      assert.equal(201, reply.status)
    end
    local hub = users.as("eve", WRONG)
    assert.equal(200, g:request("GET", "/v2/open/blobs/" .. digest, hub).status)
    assert.equal(200, g:request("GET", "/v2/open/blobs/" .. digest).status)
    for _, case in ipairs { { hub, "wrong user name or password" }, { {}, "a secret" } } do
      local reply = g:request("GET", "/v2/secret/blobs/" .. digest, case[1])
      assert.equal(401, reply.status)
      assert.equal(case[2], pusher.decode(reply.body).errors[1].message)
    end
    local reply = g:request("GET", "/v2/secret/blobs/" .. digest, users.as("bob", BOB))
    assert.equal(403, reply.status)
  end)

  it("asks for a token at /v2/, and with every 401", function()
    local realm = 'Bearer realm="http://gateway/v2/_token",service="gateway"'
    local cases = {
      { "GET", "", realm },
      { "GET", "secret/tags/list", realm .. ',scope="repository:secret:pull"' },
      { "POST", "a/b/blobs/uploads/", realm .. ',scope="repository:a/b:pull,push"' },
      { "PUT", "a/manifests/v1", realm .. ',scope="repository:a:pull,push"' },
      { "DELETE", "a/manifests/v1", realm .. ',scope="repository:a:delete"' },
      { "GET", "_catalog", realm },
    }
    for _, case in ipairs(cases) do
      local reply = g:request(case[1], "/v2/" .. case[2])
      assert.same({ 401, case[3] }, { reply.status, reply.header "www-authenticate" })
    end
    assert.equal(200, g:request("GET", "/v2/", users.as("ann", ANN)).status)
    assert.equal(401, g:request("GET", "/v2/", users.as("eve", WRONG)).status)
  end)

  it("says where clients come from, and repeats no odd name of a host", function()
    local function realm(headers)
      return g:request("GET", "/v2/", { headers = headers }).header "www-authenticate"
    end
    assert.truthy(realm { Host = "r.example.org", ["X-Forwarded-Proto"] = "https" }
      :find('realm="https://r.example.org/v2/_token"', 1, true))
    assert.equal('Basic realm="tidegate"', realm { Host = "a;b" })
  end)

  local function token(query, options)
    local reply = g:request("GET", "/v2/_token" .. query, options)
    if reply.status ~= 200 then return reply.status end
    assert.equal("no-store", reply.header "cache-control")
    local t = pusher.decode(reply.body)
    assert.equal(t.token, t.access_token)
    return g:request("GET", "/who", { headers = { Authorization = "Bearer " .. t.token } }).body
  end

  it("gives everybody a token for what everybody may, and users their own", function()
    local ann, eve = users.as("ann", ANN), users.as("eve", WRONG)
    local pull, push = "repository:a/b:pull", "repository:a/b:pull,push"
    local cases = {
      { "?service=x", nil, "//" },
      { "?service=x&scope=" .. pull, nil, "//" },
      { "?service=x&scope=" .. push, nil, "//" },
      { "?service=x", ann, "ann//" },
      { "?service=x&scope=" .. push .. "&scope=" .. pull, ann, "ann//" },
      { "?account=eve&client_id=docker", eve, 401 }, -- a login
      { "?scope=" .. pull, eve, "//" },
      { "?scope=" .. pull .. "%20" .. pull, eve, "//" },
      { "?scope=" .. pull .. "&scope=" .. push, eve, 401 },
      { "?scope=" .. pull .. "%20" .. push, eve, 401 },
      { "?scope=registry:catalog:*", eve, 401 },
      { "?scope=", eve, 401 },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[3], token(case[1], case[2]), case[1])
    end
    assert.equal(405, g:request("POST", "/v2/_token", { body = "grant_type=password" }).status)
    assert.equal(200, g:request("GET", "/v2/",
      { headers = { Authorization = "Bearer Og==" } }).status)
  end)
end)

describe("a registry's url", function()
  it("is where the token comes from", function()
    local g = users.start(script('auth.first { auth.htpasswd "users", auth.anonymous }',
      'url = "https://r.example.org:8443", prefix = "/v2/team"'), { users = file() })
    local reply = g:request("GET", "/v2/team")
    assert.equal('Bearer realm="https://r.example.org:8443/v2/team/_token",'
      .. 'service="r.example.org:8443"', reply.header "www-authenticate")
    users.stop(g)
  end)

  for _, url in ipairs { "r.example.org", "https://r.example.org/", 'https://a"b' } do
    it("is refused: " .. url, function()
      local ok, out = gateway.check(script("auth.anonymous", ("url = %q"):format(url)), {})
      assert.is_false(ok)
      assert.truthy(out:find("registry: 'url' must be like", 1, true), out)
    end)
  end
end)
