-- SPDX-License-Identifier: Apache-2.0
--
-- Forms: how a layout keeps what it names. Keys are the layout's own; what lies there, and in which
-- steps it is changed, is the same for all layouts of one form. A layout may name two forms.
--
-- `layout.form` says how repositories, tags and content belong together: "links", which is the
-- default (links.lua), or "records" (records.lua).
--
--   owns                          does each repository own its blobs? Otherwise all repositories
--                                 of a namespace have all of them, and own_blob does nothing
--   algorithms                    those of digests by which content can be kept, as a set
--   varies                        the header that read_tag looks at, if it does
--   blob(reg, repo, digest)       the digest of the content that the repository has by this one,
--                                 or nil; whether that is still there is not looked at
--   own_blob, disown_blob(reg, repo, digest, target)
--   manifest(reg, repo, digest)   the same of a manifest, and its media type if that is known
--   own_manifest(reg, repo, digest, target, type, by_digest)   pushed by digest, or by tag only?
--   keep_manifest(reg, repo, digest, target, type)   the same, if it is not the repository's
--   disown_manifest(reg, repo, digest, target)
--   read_tag(reg, repo, tag, q)   what the tag names: the digest that it was set to, the digest of
--                                 the content, and its media type if that is known. nil when there
--                                 is no such tag. q, if given, may say what the client accepts
--   tag_names(reg, repo, tag, digest, target)   does the tag name this manifest, by whatever
--                                 digest? And what it names
--   set_tag(reg, repo, tag, digest, target, type)
--   set_tag_once(the same)        unless it is set, by whomever at the same moment: then it returns
--                                 what it names, if that is another manifest
--   remove_tag(reg, repo, tag)    false when there was none
--   untag(reg, repo, tag, target) takes this manifest off the tag, which goes with the last one
--   tag_of(entry, prefix)         the tag that an entry of the list of layout.tags is, or nil
--   tags_are_folders              that list has them as names that end with "/"
--   below(reg, repo)              the prefix of the repositories whose names begin with this one's
--                                 and a slash; of all, without a name
--   exists(reg, repo)             is there anything in the repository?
--
-- `layout.uploads` says what an upload session is: "append", which is the default (append.lua),
-- or "parts" (parts.lua).
--
--   start(reg, repo, id, algorithm)   begins one, for a digest of this algorithm; returns when
--   load(reg, repo, id)           { repo, id, size, … } of one that is there, or nil
--   append(reg, s, body, limit)   moves the body behind what is there, and counts it in s.size; it
--                                 returns and fails as `into` does, with RANGE, BUSY, EXISTS,
--                                 NOT_FOUND or BLOB_UPLOAD_UNKNOWN when somebody else has changed
--                                 the session
--   digests(reg, s, algorithm, got)   the SHA-256 of the whole, and its SHA-512 if the algorithm
--                                 asks for it; hex. `got` is what an append has just returned
--   place(reg, s, key)            makes of the bytes that were hashed the object at this key
--   remove(reg, s)
--   keep(reg, s)                  before anything is done with a session that is there: it is in
--                                 use; false if it is gone. A form without it needs none
--   expire(reg, repo, id, before) ends the session unless it was in use since then, in seconds
--                                 since 1970; its size if it did. A form without it cannot
--   is_emptied(reg, s)            a session without bytes: are they gone because it ends just now?
local M = {}

local ROOM = "apps.registry.forms."
local NAMES = { links = true, records = true }
local UPLOADS = { append = true, parts = true }

local function pick(forms, field, name)
  if forms[name] then return require(ROOM .. name) end
  error(("option 'layout': its '%s' cannot be %q"):format(field, tostring(name)), 0)
end

-- The two forms of a layout; raises a string if it names others.
function M.of(layout)
  return pick(NAMES, "form", layout.form or "links"),
    pick(UPLOADS, "uploads", layout.uploads or "append")
end

return M
