-- SPDX-License-Identifier: Apache-2.0
local layout = require "layouts.distribution"
local names = require "apps.registry.names"

local HEX = ("0123456789abcdef"):rep(4)

describe("names of repositories", function()
  local good = {
    "a", "0", "a/b", "a1/b2/c3", "a.b", "a_b", "a__b", "a-b", "a---b", "a.b_c__d-e",
    "blobs", "tags/list", "blobs/uploads", "manifests/uploads/x", ("a"):rep(255),
    ("a/"):rep(127) .. "a",
  }
  local bad = {
    "", "/", "a/", "/a", "a//b", "A", "a/B", "a..b", "a___b", "a._b", "a_-b", ".a", "a.", "-a",
    "a-", "_a", "a_", "a/_uploads", "a b", "a\nb", "a\0b", "ä", "..", "a/../b", "a:b",
    ("a"):rep(256), ("a-"):rep(100000) .. "!",
  }

  for _, name in ipairs(good) do
    it("accepts " .. name:sub(1, 40), function() assert.is_true(names.is_repo(name)) end)
  end
  for _, name in ipairs(bad) do
    it(("refuses %q"):format(name:sub(1, 40)), function() assert.is_false(names.is_repo(name)) end)
  end
end)

describe("names of tags", function()
  it("accepts what the specification allows", function()
    for _, tag in ipairs { "v1", "latest", "_x", "1.2.3-rc_1", "A", ("a"):rep(128) } do
      assert.is_true(names.is_tag(tag), tag)
    end
  end)

  it("refuses everything else", function()
    for _, tag in ipairs { "", ".a", "-a", "a b", "a/b", "a:b", "a\n", "é", ("a"):rep(129) } do
      assert.is_false(names.is_tag(tag), tag)
    end
  end)
end)

describe("digests", function()
  it("are known with as many digits as their algorithm has", function()
    assert.same({ "sha256", HEX }, { names.digest("sha256:" .. HEX) })
    assert.same({ "sha512", HEX .. HEX }, { names.digest("sha512:" .. HEX .. HEX) })
  end)

  it("are refused otherwise", function()
    for _, text in ipairs {
      "", ":", "sha256", "sha256:", "sha256:baddigest", "sha256:" .. HEX:sub(2), HEX,
      "sha256:" .. HEX .. "0", "sha512:" .. HEX, "md5:" .. HEX, "sha256:" .. HEX:upper(),
      "SHA256:" .. HEX, "sha256:" .. HEX .. "\n", "sha256:../../../etc/passwd",
    } do
      assert.is_nil(names.digest(text), text)
    end
  end)
end)

describe("the distribution layout", function()
  local digest = "sha256:" .. HEX
  local id = "0d9b8fa7-6b7c-4d53-9b0c-1d0a8f1f6f6e"
  local V2 = "docker/registry/v2/"
  local A = V2 .. "repositories/a/b/"
  local keys = {
    { layout.blob(digest), V2 .. "blobs/sha256/01/" .. HEX .. "/data" },
    { layout.layer("a/b", digest), A .. "_layers/sha256/" .. HEX .. "/link" },
    { layout.revision("a/b", digest), A .. "_manifests/revisions/sha256/" .. HEX .. "/link" },
    { layout.manifests("a/b"), A .. "_manifests/" },
    { layout.tags("a/b"), A .. "_manifests/tags/" },
    { layout.tag("a/b", "v1"), A .. "_manifests/tags/v1/" },
    { layout.tag_current("a/b", "v1"), A .. "_manifests/tags/v1/current/link" },
    { layout.tag_index("a/b", "v1", digest),
      A .. "_manifests/tags/v1/index/sha256/" .. HEX .. "/link" },
    { layout.upload("a/b", id), A .. "_uploads/" .. id .. "/" },
    { layout.upload_started("a/b", id), A .. "_uploads/" .. id .. "/startedat" },
    { layout.upload_data("a/b", id), A .. "_uploads/" .. id .. "/data" },
    { layout.upload_states("a/b", id, "sha256"), A .. "_uploads/" .. id .. "/hashstates/sha256/" },
    { layout.referrers("a/b", digest), A .. "_referrers/sha256/" .. HEX .. "/of/" },
    { layout.referrer("a/b", digest, digest),
      A .. "_referrers/sha256/" .. HEX .. "/of/sha256/" .. HEX },
    { layout.referrers_taken("a/b", digest), A .. "_referrers/sha256/" .. HEX .. "/taken" },
  }

  it("names everything as the distribution registry does", function()
    for _, key in ipairs(keys) do assert.equal(key[2], key[1]) end
  end)
end)
