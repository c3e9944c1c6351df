-- SPDX-License-Identifier: Apache-2.0
--
-- tidegate verify and tidegate usage, on a registry that other hands have damaged.
local json = require "dkjson"
local pusher = require "spec.pusher"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"
local ROOT = "/data/docker/registry/v2/"

local SCRIPT = [[
local gate = require "tidegate"
local registry = require "apps.registry"
gate.config { listen = gate.env "TIDEGATE_LISTEN" }
gate.serve {
  registry { store = gate.store.fs { root = gate.env "TIDEGATE_DATA", durability = "async" } },
}
]]

describe("looking after what is stored", function()
  local folder

  before_each(function()
    folder = tool.tmpdir()
    tool.must("mkdir " .. folder .. "/data")
    tool.write(folder .. "/gate.lua", SCRIPT)
    local g = pusher.registry("", { data = folder .. "/data", store = 'durability = "async"' })
    pusher.image(g, "a", "v1", 1)
    pusher.image(g, "a", "v2", 2)
    pusher.image(g, "b/c", "v1", 1)
    assert(g:request("PATCH", pusher.session(g, "a"), { body = ("x"):rep(1000) }).status == 202)
    g:stop()
  end)

  after_each(function() tool.remove(folder) end)

  -- status, the lines on stdout, stderr; `under` is what runs it
  local function run(command, options, under)
    local ok, out = tool.run(("TIDEGATE_LISTEN=127.0.0.1:0 TIDEGATE_DATA=%s/data %s %s %s "
      .. "%s/gate.lua %s 2>%s/err"):format(folder, under or "", PROGRAM, command, folder,
      options or "", folder))
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    return ok, lines, tool.read(folder .. "/err")
  end

  local function file(path) return folder .. ROOT .. path end

  local function blob_of(digest)
    local hex = digest:match ":(.*)"
    return ("blobs/sha256/%s/%s/data"):format(hex:sub(1, 2), hex)
  end

  local function decoded(lines)
    local list = {}
    for i, line in ipairs(lines) do list[i] = assert(json.decode(line)) end
    return list
  end

  it("finds nothing wrong where nothing is", function()
    local ok, lines, err = run "verify"
    assert.is_true(ok, err)
    assert.same({}, lines)
    assert.truthy(err:find("verify: 6 blobs, 9 links, 3 tags, .* 0 faults"), err)
  end)

  it("names every fault, and changes nothing", function()
    local manifest = tool.read(file "repositories/a/_manifests/tags/v2/current/link")
    local doc = json.decode(tool.read(file(blob_of(manifest))))
    local layer, config = doc.layers[1].digest, doc.config.digest
    local text = tool.read(file(blob_of(layer)))
    tool.write(file(blob_of(layer)), text:sub(1, -2) .. (text:sub(-1) == "x" and "y" or "x"))
    tool.must(("rm %s"):format(file(blob_of(config))))
    tool.write(file "repositories/b/c/_manifests/tags/v1/current/link", "")
    tool.must(("rm -r %s"):format(file "repositories/a/_manifests/revisions/sha256/"
      .. tool.read(file "repositories/a/_manifests/tags/v1/current/link"):match ":(.*)"))
    local before = tool.must(("cd %s/data && find . -type f ! -path '*/.tidegate/*' "
      .. "-exec md5sum {} + | sort"):format(folder))
    local ok, lines = run("verify", "--json")
    assert.is_false(ok)
    local faults = {}
    for _, record in ipairs(decoded(lines)) do
      faults[#faults + 1] = ("%s %s %s"):format(record.fault, record.repo or "-",
        record.tag or record.missing or record.digest or record.key)
    end
    table.sort(faults)
    assert.same({
      "corrupt - " .. tool.digest(tool.read(file(blob_of(layer)))),
      "damaged link - docker/registry/v2/repositories/b/c/_manifests/tags/v1/current/link",
      "dangling link - " .. config,
      "dangling tag a v1",
      "incomplete manifest a " .. config,
    }, faults)
    assert.equal(before, tool.must(("cd %s/data && find . -type f ! -path '*/.tidegate/*' "
      .. "-exec md5sum {} + | sort"):format(folder)))
  end)

  it("goes on where it was told to", function()
    tool.write(file "repositories/b/c/_manifests/tags/v1/current/link", "")
    local _, all = run "verify"
    assert.equal(1, #all)
    local ok, none, err = run("verify", "--from docker/registry/v2/repositories/c")
    assert.is_true(ok)
    assert.same({}, none)
    assert.truthy(err:find("verify: 0 faults", 1, true), err)
  end)

  it("reads no faster than it was told to", function()
    local began = os.time()
    local ok, _, err = run("verify", "--rate 1k")
    assert.is_true(ok, err)
    assert.is_true(os.time() - began >= 1, "some 3 KiB were read in no time")
    ok, _, err = run("verify", "--rate much")
    assert.is_false(ok)
    assert.truthy(err:find('--rate must be a size such as "200m"', 1, true), err)
  end)

  it("tells what each repository holds, and what it holds alone", function()
    local ok, lines, err = run("usage", "--json")
    assert.is_true(ok, err)
    local rows = decoded(lines)
    assert.same({ "a", "b/c", "(all)" }, { rows[1].repo, rows[2].repo, rows[3].repo })
    local a, bc, all = unpack(rows)
    assert.same({ 2, 2, 6, 1000 }, { a.tags, a.manifests, a.blobs, a.uploading })
    assert.same({ 1, 1, 3, 0 }, { bc.tags, bc.manifests, bc.blobs, bc.uploading })
    assert.equal(0, bc.exclusive)
    assert.equal(a.bytes - bc.bytes, a.exclusive)
    assert.equal(a.bytes, all.bytes)
    assert.equal(0, all.unowned)
    local _, table_lines = run "usage"
    assert.equal("repo   bytes  exclusive  blobs  manifests  tags  uploading", table_lines[1])
    assert.truthy(table_lines[3]:find "^b/c    ", table_lines[3])
  end)

  it("tells what the repositories hold together whose names begin alike", function()
    local _, whole = run("usage", "--json")
    tool.must(("mkdir %s && cp -r %s %s"):format(file "repositories/b/d", file "repositories/a/*",
      file "repositories/b/d"))
    local ok, lines, err = run("usage", "--by folder --json")
    assert.is_true(ok, err)
    local rows, before = decoded(lines), decoded(whole)
    assert.same({ "a", "b", "(all)" }, { rows[1].repo, rows[2].repo, rows[3].repo })
    local a, b, all = unpack(rows)
    assert.same({ a.bytes, a.blobs }, { b.bytes, b.blobs }) -- what c and d share counts once
    assert.same({ 3, 3 }, { b.tags, b.manifests })
    assert.same({ 0, 0 }, { a.exclusive, b.exclusive })
    assert.equal(before[3].bytes, all.bytes)
    local _, by_default = run("usage", "--json")
    local _, by_repo = run("usage", "--by repo --json")
    assert.same(by_default, by_repo)
    ok, _, err = run("usage", "--by tag")
    assert.is_false(ok)
    assert.truthy(err:find("--by is repo or folder", 1, true), err)
  end)

  it("counts what nobody owns", function()
    tool.must("rm -r " .. file "repositories/a")
    local _, lines = run("usage", "--json")
    local rows = decoded(lines)
    assert.is_true(rows[#rows].unowned > 0)
    assert.equal(rows[#rows].bytes - rows[1].bytes, rows[#rows].unowned)
  end)

  it("says how far it came when it is interrupted", function()
    local ok, _, err = run("verify", "--rate 100", "timeout -s INT 1")
    assert.is_false(ok)
    assert.truthy(err:find("verify stopped: interrupted", 1, true), err)
  end)

  it("asks every application that has something to say, and shows what goes wrong", function()
    tool.write(folder .. "/gate.lua", [[
      local gate = require "tidegate"
      local one, two = gate.app { prefix = "/one" }, gate.app { prefix = "/two" }
      one:chore("usage", function(c) c:table({ "what", "n" }, { { what = "cups", n = 12 } }) end)
      two:chore("usage", function(c)
        c:count "cups"
        c:found("broken", { cup = 7 })
        error "a mistake of mine"
      end)
      gate.serve { one, two }
    ]])
    local ok, lines, err = run "usage"
    assert.is_false(ok)
    assert.same({ "what   n", "cups  12", "broken: cup=7" }, lines)
    assert.truthy(err:find("1 cups, 1 faults\nusage stopped:", 1, true), err)
    assert.truthy(err:find("gate.lua:7: a mistake of mine", 1, true), err)
  end)

  it("says so when a script has nothing to look at", function()
    tool.write(folder .. "/gate.lua", [[
      local gate = require "tidegate"
      gate.serve { gate.health "/healthz" }
    ]])
    local ok, _, err = run "usage"
    assert.is_false(ok)
    assert.truthy(err:find("nothing in this script can be asked for its usage", 1, true), err)
  end)
end)
