-- SPDX-License-Identifier: Apache-2.0
-- Lists of what there is much of, from one tree that is made on the disk and that each server is
-- given in its turn: a page of ten out of 100 000 tags beside one out of 10, pages of the catalog.

local servers = require "spec.bench.servers"
local tree = require "spec.tree"

local TAGS, FEW = 100000, 10
local FLAT, FOLDERS, INSIDE = 10000, 100, 100 -- repositories
local REFERRERS = 10000
local ASKED = 20 -- how often, for a median

local DIGEST = "sha256:" .. ("ab"):rep(32)

local M = {}

-- What each row asks for; a cold one once, as the first thing that its server is asked.
M.ROWS = {
  { name = "a page of 10 out of 10 tags", path = "bench/few/tags/list?n=10" },
  { name = "the first page of 10 out of 100 000 tags, cold", path = "bench/many/tags/list?n=10",
    cold = true },
  { name = "the second page", path = "bench/many/tags/list?n=10&last=t000010" },
  { name = "a late page", path = "bench/many/tags/list?n=10&last=t090000" },
  { name = "the first 100 of 20 000 repositories", path = "_catalog?n=100" },
  { name = "100 of them later", path = "_catalog?n=100&last=flat/r05000" },
  { name = "100 out of 10 000 referrers", only = "tidegate sync",
    path = "bench/few/referrers/" .. DIGEST .. "?n=100" },
}

-- Makes the tree; returns its folder.
function M.make(top)
  local root = top .. "/listing"
  assert(os.execute("mkdir " .. root) == 0)
  local t, nested = tree.new(root), {}
  for i = 1, FOLDERS do
    for j = 1, INSIDE do nested[#nested + 1] = ("nested/g%03d/r%03d"):format(i, j) end
  end
  t:repositories({ "bench/few", "bench/many" }, DIGEST)
  t:tags("bench/few", tree.names("t%06d", FEW), DIGEST)
  t:tags("bench/many", tree.names("t%06d", TAGS), DIGEST)
  t:repositories(tree.names("flat/r%05d", FLAT), DIGEST)
  t:repositories(nested, DIGEST)
  t:referrers("bench/few", DIGEST, REFERRERS, function(i)
    local digest = ("sha256:%064x"):format(i)
    return digest, ('{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s",'
      .. '"size":7,"artifactType":"bench/referrer"}'):format(digest)
  end)
  return root
end

-- The milliseconds of one GET after the other on one connection.
local function times(run, s, path, n)
  local join = path:find("?", 1, true) and "&" or "?"
  local out = run("curl -sSf -o /dev/null -w '%%{time_total}\\n' "
    .. "'http://127.0.0.1:%d/v2/%s%si=[1-%d]'", s.port, path, join, n)
  local list = {}
  for seconds in out:gmatch "[%d.]+" do list[#list + 1] = tonumber(seconds) * 1000 end
  return list
end

-- One server's turn: the times of each row are added to `all`, by row. Returns how much memory it
-- took to answer, in bytes.
local function turn(kind, top, root, run, all)
  local s = servers.start(kind, top, root)
  local before = servers.memory(s, "VmRSS")
  for _, cold in ipairs { true, false } do
    for i, row in ipairs(M.ROWS) do
      if (row.cold or false) == cold and (not row.only or row.only == kind) then
        all[i] = all[i] or {}
        for _, ms in ipairs(times(run, s, row.path, cold and 1 or ASKED)) do
          table.insert(all[i], ms)
        end
      end
    end
  end
  local most = servers.memory(s, "VmHWM")
  servers.stop(s)
  return most - before
end

-- Rows of { kind = milliseconds }, in the order of ROWS, and { kind = bytes }.
function M.measure(kinds, top, rounds, run, median)
  local root, all, memory = M.make(top), {}, {}
  for _ = 1, rounds do
    for _, kind in ipairs(kinds) do
      all[kind], memory[kind] = all[kind] or {}, memory[kind] or {}
      table.insert(memory[kind], turn(kind, top, root, run, all[kind]))
    end
  end
  local rows = {}
  for i = 1, #M.ROWS do
    rows[i] = {}
    for _, kind in ipairs(kinds) do
      rows[i][kind] = all[kind][i] and median(all[kind][i])
    end
  end
  for _, kind in ipairs(kinds) do memory[kind] = median(memory[kind]) end
  run("rm -rf %s", root)
  return rows, memory
end

return M
