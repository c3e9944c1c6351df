/* SPDX-License-Identifier: Apache-2.0
 *
 * Crash states of what the registry does with sessions, manifests and tags, change by
 * change as scripts/apps/registry does it. That a link never points at nothing needs no
 * rule of its own here: what it points at was acknowledged before the link began.
 */
#include "spec/unit/crash_rig.h"

#define UPLOAD "repositories/a/_uploads/7/"
#define STATES UPLOAD "hashstates/sha256/"
#define DATA UPLOAD "data"
#define BLOB "blobs/sha256/ab/abcd/data"
#define LAYER "repositories/a/_layers/sha256/abcd/link"

static const char text[] = "A session grows by appends, each as its client likes.";
static const char *const session[] = {UPLOAD "startedat", STATES "20", STATES "53"};

CRASH_TEST(session_whole, "an upload session from its first byte to its blob")
{
    crash_put(c, session[0], "2024-01-01T00:00:00Z");
    crash_append(c, DATA, text, 0, 20);
    crash_put(c, session[1], "state behind 20 bytes");
    crash_append(c, DATA, text, 20, sizeof text - 1);
    crash_put(c, session[2], "state behind all");
    crash_move(c, DATA, BLOB, text);
    crash_put(c, LAYER, "sha256:abcd");
    crash_remove_prefix(c, UPLOAD, session, 3);
}

CRASH_TEST(session_broken, "an append that breaks off keeps what came")
{
    struct sink *k;
    uint64_t size;
    crash_put(c, session[0], "2024-01-01T00:00:00Z");
    crash_append(c, DATA, text, 0, 20);
    size_t change = crash_appends(c, DATA, text, 20, 40);
    EXPECT_EQ(rig_append(&c->rig, DATA, 20, &k, &size), 0);
    EXPECT_EQ(rig_push(&c->rig, k, text + 20, 10), 0);
    EXPECT_EQ(rig_push(&c->rig, k, text + 30, 10), 0);
    EXPECT_EQ(rig_abort(&c->rig, k), 0);
    crash_kept(c, change, 40);
    rig_close_sink(&c->rig, k);
    crash_append(c, DATA, text, 40, sizeof text - 1);
}

CRASH_TEST(session_cancelled, "a session that is cancelled")
{
    static const char *const keys[] = {UPLOAD "startedat", DATA};
    crash_put(c, keys[0], "2024-01-01T00:00:00Z");
    crash_put(c, "repositories/a/_uploads/8/startedat", "2024-01-01T00:00:01Z");
    crash_append(c, DATA, text, 0, 20);
    crash_remove_prefix(c, UPLOAD, keys, 2);
}

/* A blob that is there already is replaced by the same bytes. */
CRASH_TEST(session_again, "a session whose blob is there already")
{
    crash_put(c, BLOB, text);
    crash_put(c, session[0], "2024-01-01T00:00:00Z");
    crash_append(c, DATA, text, 0, sizeof text - 1);
    crash_move(c, DATA, BLOB, text);
    crash_remove_prefix(c, UPLOAD, session, 1);
}

#define MANIFESTS "repositories/a/_manifests/"
#define TAG MANIFESTS "tags/v1/"
#define CURRENT TAG "current/link"

static void push_manifest(struct crash *c, const char *blob, const char *revision,
                          const char *index, const char *digest)
{
    crash_put(c, blob, "{\"schemaVersion\":2}");
    crash_put(c, revision, digest);
    crash_put(c, index, digest);
    crash_put(c, CURRENT, digest);
}

CRASH_TEST(tag, "a tag that moves from one manifest to the next")
{
    push_manifest(c, "blobs/sha256/01/0123/data", MANIFESTS "revisions/0123/link",
                  TAG "index/0123/link", "sha256:0123");
    crash_put(c, TAG "index/4567/link", "sha256:4567");
    crash_put(c, CURRENT, "sha256:4567");
}

CRASH_TEST(manifest_deleted, "a manifest that is deleted with its tag")
{
    static const char *const tag[] = {TAG "index/0123/link", CURRENT};
    push_manifest(c, "blobs/sha256/01/0123/data", MANIFESTS "revisions/0123/link", tag[0],
                  "sha256:0123");
    crash_remove_prefix(c, TAG, tag, 2);
    crash_remove(c, MANIFESTS "revisions/0123/link");
}
