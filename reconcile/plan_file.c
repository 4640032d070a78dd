// SPDX-License-Identifier: Apache-2.0
#include "reconcile/plan_file.h"

#include <stdlib.h>
#include <string.h>

#include "reconcile/plan.h"

#define BEGINS "{\"kind\":\"regrow-plan\",\"version\":"
#define VERSION 1
#define SUM "\"sum\":\"sha256:"
#define SUM_LINE (sizeof(SUM) - 1 + 64 + sizeof("\"}\n") - 1)
#define MAX_TEXT 4096
#define MAX_SOURCES 5000
#define MAX_LIST 10000
#define MAX_FIELDS 400 // of one object; a definition has thousands
#define FIELD_BYTES 4

// ---- writing ----
static void put(struct buf *out, const char *key, const json_t *v)
{
    buf_printf(out, "\"%s\":", key);
    canon_write(v, out);
    buf_str(out, ",\n");
}

// A line for each, so that two plans can be laid side by side.
static void put_list(struct buf *out, const char *key, const json_t *list)
{
    size_t i;
    json_t *v;
    buf_printf(out, "\"%s\":[\n", key);
    json_array_foreach(list, i, v)
    {
        canon_write(v, out);
        buf_str(out, i + 1 < json_array_size(list) ? ",\n" : "\n");
    }
    buf_str(out, "],\n");
}

void plan_file_write(const json_t *doc, struct buf *out)
{
    buf_printf(out, BEGINS "%d,\n", VERSION);
    put(out, "cluster", json_object_get(doc, "cluster"));
    put(out, "options", json_object_get(doc, "options"));
    put(out, "root", json_object_get(doc, "root"));
    put_list(out, "sources", json_object_get(doc, "sources"));
    put_list(out, "objects", json_object_get(doc, "objects"));
    struct sha256 sum = sha256_of(out->p, out->len);
    CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
    buf_printf(out, SUM "%s\"}\n", hex);
}

// ---- reading ----
// What a member may be.
enum form {
    FORM_TEXT,    // anything that is not empty
    FORM_ANY,     // anything
    FORM_HASH,    // 64 hex digits
    FORM_BOOL,    //
    FORM_TEXTS,   // a list of texts
    FORM_BASE64,  //
    FORM_ACTION,  // action_name
    FORM_SOURCE,  // a kind of source
    FORM_LIVE,    // what was there
    FORM_PHASE,   //
    FORM_DIGEST,  // "sha256:" and 64 hex digits
    FORM_VERSION, // a commit or a version
};
struct member {
    const char *name;
    enum form form;
    bool must;
};

static const struct member cluster_members[] = {{"uid", FORM_TEXT, true},
                                                {"version", FORM_TEXT, true}};
static const struct member root_members[] = {{"url", FORM_TEXT, true},
                                             {"commit", FORM_VERSION, false}};
static const struct member option_members[] = {{"allowDuplicateKeys", FORM_BOOL, false},
                                               {"allowMassPrune", FORM_BOOL, false},
                                               {"apps", FORM_TEXTS, false},
                                               {"breakDeclared", FORM_BOOL, false},
                                               {"forceConflicts", FORM_BOOL, false},
                                               {"noPrune", FORM_BOOL, false},
                                               {"order", FORM_TEXT, false},
                                               {"pruneLeft", FORM_TEXTS, false},
                                               {"revision", FORM_TEXT, false},
                                               {"then", FORM_TEXT, false}};
static const struct member source_members[] = {
    {"kind", FORM_SOURCE, true}, {"url", FORM_TEXT, true},      {"chart", FORM_TEXT, false},
    {"target", FORM_ANY, true},  {"prefix", FORM_TEXT, false},  {"revision", FORM_VERSION, false},
    {"by", FORM_TEXT, false},    {"digest", FORM_DIGEST, false}};
static const struct member object_members[] = {
    {"application", FORM_TEXT, true}, {"group", FORM_ANY, true},     {"kind", FORM_TEXT, true},
    {"namespace", FORM_TEXT, false},  {"name", FORM_TEXT, true},     {"phase", FORM_PHASE, false},
    {"action", FORM_ACTION, true},    {"content", FORM_HASH, false}, {"fields", FORM_BASE64, false},
    {"live", FORM_LIVE, false}};
static const struct member live_members[] = {
    {"uid", FORM_TEXT, false}, {"state", FORM_TEXT, false}, {"application", FORM_TEXT, false}};

static bool check_members(const json_t *v, const struct member *m, size_t n, const char *what,
                          struct err *err);

static bool is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

// Printable, and nothing that could be an option, a path or a query.
static bool is_version(const char *s)
{
    for (const char *p = s; *p; p++)
        if (*p <= ' ' || *p >= 127 || strchr("/?#%\\\"'`", *p))
            return false;
    return *s && *s != '-' && *s != '.' && strlen(s) <= 200;
}

static bool is_action(const char *s)
{
    for (enum action a = ACTION_NONE; a <= ACTION_LEFT; a++)
        if (!strcmp(action_name(a), s))
            return true;
    return false;
}

static bool is_one_of(const char *s, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(s, *names))
            return true;
    return false;
}

static bool are_texts(const json_t *v)
{
    size_t i;
    json_t *x;
    if (!json_is_array(v) || json_array_size(v) > MAX_LIST)
        return false;
    json_array_foreach((json_t *)v, i, x)
    {
        if (!json_is_string(x) || !json_string_length(x) || json_string_length(x) > MAX_TEXT)
            return false;
    }
    return true;
}

static bool is_base64(const char *s)
{
    struct buf b CLEANUP(buf_clear) = {0};
    size_t max = (FIELD_BYTES * MAX_FIELDS + 2) / 3 * 4;
    return strlen(s) <= max && base64_decode(s, strlen(s), &b) && b.len % FIELD_BYTES == 0;
}

static bool has_form(const json_t *v, enum form form)
{
    static const char *const kinds[] = {"git", "helm", "oci", "folder", NULL};
    static const char *const phases[] = {"PreSync", "Sync", "PostSync", "SyncFail", NULL};
    const char *s = json_string_value(v);
    struct err err = {0};
    bool ok = true;
    if (form == FORM_BOOL)
        return json_is_boolean(v);
    if (form == FORM_TEXTS)
        return are_texts(v);
    if (form == FORM_LIVE) {
        ok = check_members(v, live_members, ARRAY_LEN(live_members), "live", &err);
        err_clear(&err);
        return ok;
    }
    // Without a NUL inside, which no text of a cluster or a repository has.
    if (!s || strlen(s) != json_string_length(v) || strlen(s) > MAX_TEXT)
        return false;
    switch (form) {
    case FORM_TEXT:
        return *s;
    case FORM_HASH:
        return is_hex(s, 64);
    case FORM_BASE64:
        return is_base64(s);
    case FORM_ACTION:
        return is_action(s);
    case FORM_SOURCE:
        return is_one_of(s, kinds);
    case FORM_PHASE:
        return is_one_of(s, phases);
    case FORM_DIGEST:
        return str_starts(s, "sha256:") && is_hex(s + 7, 64);
    case FORM_VERSION:
        return is_version(s);
    case FORM_ANY:
    case FORM_BOOL:
    case FORM_TEXTS:
    case FORM_LIVE:
        break;
    }
    return true;
}

static bool check_members(const json_t *v, const struct member *m, size_t n, const char *what,
                          struct err *err)
{
    size_t known = 0;
    if (!json_is_object(v))
        return err_set(err, ERR_INVALID, "%s is no map", what);
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_object_get(v, m[i].name);
        known += x != NULL;
        if (x ? !has_form(x, m[i].form) : m[i].must)
            return err_set(err, ERR_INVALID, "%s: %s is %s", what, m[i].name,
                           x ? "not what it may be" : "missing");
    }
    return known == json_object_size(v) ||
           err_set(err, ERR_INVALID, "%s has members that no plan has", what);
}

static bool check_source(const json_t *v, const char *what, struct err *err)
{
    const char *kind = json_dot_text(v, "kind");
    const char *revision = json_dot_str(v, "revision");
    if (!check_members(v, source_members, ARRAY_LEN(source_members), what, err))
        return false;
    bool ok = !strcmp(kind, "folder") ? !revision
              : !strcmp(kind, "git")  ? revision && is_hex(revision, 40)
                                      : revision != NULL;
    return ok || err_set(err, ERR_INVALID, "%s has no exact revision", what);
}

static const json_t *same_source(const json_t *list, const json_t *s)
{
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)list, i, v)
    {
        if (str_eq(json_dot_str(v, "kind"), json_dot_str(s, "kind")) &&
            str_eq(json_dot_str(v, "url"), json_dot_str(s, "url")) &&
            str_eq(json_dot_str(v, "chart"), json_dot_str(s, "chart")) &&
            str_eq(json_dot_str(v, "target"), json_dot_str(s, "target")) &&
            str_eq(json_dot_str(v, "prefix"), json_dot_str(s, "prefix")))
            return v;
    }
    return NULL;
}

static char *key_of(const json_t *o)
{
    struct object_id id = {(char *)json_dot_text(o, "group"), (char *)json_dot_text(o, "kind"),
                           (char *)json_dot_str(o, "namespace"), (char *)json_dot_text(o, "name")};
    CLEANUP(str_freep) char *key = object_key(&id);
    return str_printf("%s#%s", key, json_dot_text(o, "phase"));
}

static bool check_objects(const json_t *list, struct err *err)
{
    CLEANUP(json_freep) json_t *seen = json_object();
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)list, i, v)
    {
        CLEANUP(str_freep) char *what = str_printf("object %zu", i + 1);
        if (!check_members(v, object_members, ARRAY_LEN(object_members), what, err))
            return false;
        CLEANUP(str_freep) char *key = key_of(v);
        if (json_object_get(seen, key))
            return err_set(err, ERR_INVALID, "%s is there twice", what);
        json_object_set_new(seen, key, json_true());
    }
    return true;
}

static bool check_sources(const json_t *list, struct err *err)
{
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)list, i, v)
    {
        CLEANUP(str_freep) char *what = str_printf("source %zu", i + 1);
        if (!check_source(v, what, err))
            return false;
        if (same_source(list, v) != v)
            return err_set(err, ERR_INVALID, "%s is there twice", what);
    }
    return true;
}

static bool check_list(const json_t *list, size_t max, const char *what, struct err *err)
{
    if (!json_is_array(list))
        return err_set(err, ERR_INVALID, "%s is no list", what);
    return json_array_size(list) <= max ||
           err_set(err, ERR_INVALID, "%s has more than %zu entries", what, max);
}

static bool check(const json_t *doc, struct err *err)
{
    static const char *const members[] = {"kind", "version", "cluster", "options",
                                          "root", "sources", "objects", "sum"};
    const json_t *sources = json_object_get(doc, "sources");
    const json_t *objects = json_object_get(doc, "objects");
    if (json_object_size(doc) != ARRAY_LEN(members))
        return err_set(err, ERR_INVALID, "it has other members than a plan");
    if (!check_members(json_object_get(doc, "cluster"), cluster_members, ARRAY_LEN(cluster_members),
                       "cluster", err) ||
        !check_members(json_object_get(doc, "options"), option_members, ARRAY_LEN(option_members),
                       "options", err) ||
        !check_members(json_object_get(doc, "root"), root_members, ARRAY_LEN(root_members), "root",
                       err) ||
        !check_list(sources, MAX_SOURCES, "sources", err) ||
        !check_list(objects, PLAN_FILE_MAX_OBJECTS, "objects", err))
        return false;
    return check_sources(sources, err) && check_objects(objects, err);
}

// Is it of our format, by its first line?
static bool check_version(const char *p, size_t len, struct err *err)
{
    size_t n = sizeof(BEGINS) - 1;
    if (len <= n || memcmp(p, BEGINS, n) != 0)
        return err_set(err, ERR_INVALID, "it is no plan file");
    if (p[n] == '0' + VERSION && len > n + 1 && p[n + 1] == ',')
        return true;
    err_set(err, ERR_INVALID, "it is of a format that this regrow does not know");
    return err_hint(err, "Apply it with the regrow that wrote it, or plan again.");
}

static bool check_sum(const char *p, size_t len, struct err *err)
{
    const char *line = p + len - SUM_LINE;
    uint8_t want[32];
    bool is_whole = len > SUM_LINE && !memcmp(line, SUM, sizeof(SUM) - 1) && line[-1] == '\n' &&
                    !memcmp(p + len - 3, "\"}\n", 3);
    if (!is_whole)
        return err_set(err, ERR_CORRUPT, "it is cut off: its last line is missing");
    CLEANUP(str_freep) char *hex = str_ndup(line + sizeof(SUM) - 1, 64);
    struct sha256 sum = sha256_of(p, (size_t)(line - p));
    return (hex_decode(hex, want, sizeof(want)) && !memcmp(want, sum.b, sizeof(want))) ||
           err_set(err, ERR_CORRUPT, "it was changed after it was written");
}

bool plan_file_read(const char *p, size_t len, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!check_version(p, len, err) || !check_sum(p, len, err))
        return false;
    if (!canon_read(p, len, &doc, err) || !check(doc, err))
        return false;
    *out = json_incref(doc);
    return true;
}

char *plan_file_sum(const json_t *doc)
{
    return str_dup(json_dot_text(doc, "sum"));
}

// ---- fields ----
struct fields {
    const char *known; // FIELD_BYTES each; NULL: they are gathered
    size_t n_known;
    struct buf all;
    size_t n;
    json_t *other;
};

static void note_field(struct fields *f, const char *path, const json_t *v)
{
    struct buf b CLEANUP(buf_clear) = {0};
    buf_append(&b, path, strlen(path) + 1);
    canon_write(v, &b);
    struct sha256 sum = sha256_of(b.p, b.len);
    f->n++;
    if (!f->other) {
        if (f->n <= MAX_FIELDS)
            buf_append(&f->all, sum.b, FIELD_BYTES);
        return;
    }
    for (size_t i = 0; i < f->n_known; i++)
        if (!memcmp(f->known + i * FIELD_BYTES, sum.b, FIELD_BYTES))
            return;
    json_array_append_new(f->other, json_string(path));
}

static void walk(struct fields *f, const char *path, const json_t *v)
{
    const char *key;
    size_t i;
    json_t *x;
    if (f->n > MAX_FIELDS)
        return;
    if (json_object_size(v)) {
        json_object_foreach((json_t *)v, key, x)
        {
            CLEANUP(str_freep) char *p = json_pointer_under(path, key);
            walk(f, p, x);
        }
    } else if (json_array_size(v)) {
        json_array_foreach((json_t *)v, i, x)
        {
            CLEANUP(str_freep) char *p = str_printf("%s/%zu", path, i);
            walk(f, p, x);
        }
    } else {
        note_field(f, path, v);
    }
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, FIELD_BYTES);
}

char *plan_file_fields(const json_t *doc)
{
    struct fields f = {0};
    struct buf text = {0};
    walk(&f, "", doc);
    if (f.n && f.n <= MAX_FIELDS) {
        qsort(f.all.p, f.n, FIELD_BYTES, by_bytes);
        buf_base64(&text, f.all.p, f.all.len);
    }
    buf_clear(&f.all);
    return text.len ? buf_take(&text) : NULL;
}

json_t *plan_file_other_fields(const json_t *doc, const char *fields)
{
    struct buf known CLEANUP(buf_clear) = {0};
    struct fields f = {.other = json_array()};
    if (fields && base64_decode(fields, strlen(fields), &known)) {
        f.known = known.p;
        f.n_known = known.len / FIELD_BYTES;
        walk(&f, "", doc);
    }
    return f.other;
}

// ---- one against another ----
enum verdict { SAME, LIVE_CHANGED, ACTION_CHANGED };

static bool writes(const char *action)
{
    static const char *const names[] = {
        "create", "change", "check", "replace", "recreate", "wait-for-deletion", NULL};
    return is_one_of(action, names);
}

static bool is_done(const char *action)
{
    return !strcmp(action, "unchanged") || !strcmp(action, "hook-done");
}

static bool same_live(const json_t *a, const json_t *b)
{
    return str_eq(json_dot_str(a, "live.uid"), json_dot_str(b, "live.uid")) &&
           str_eq(json_dot_str(a, "live.state"), json_dot_str(b, "live.state"));
}

// docs/plan-files.md has it as a table.
static enum verdict judge(const json_t *was, const json_t *now)
{
    const char *a = json_dot_text(was, "action");
    const char *b = json_dot_text(now, "action");
    bool is_ours = str_eq(json_dot_str(now, "live.application"), json_dot_text(now, "application"));
    // A hook that was cut off, or has failed, runs again.
    if (json_object_get(now, "phase") && is_ours && writes(a) && writes(b))
        return SAME;
    if (!strcmp(a, b)) {
        bool counts = writes(a) || !strcmp(a, "prune");
        return !counts || same_live(was, now) ? SAME : LIVE_CHANGED;
    }
    if (writes(a) && is_done(b))
        return SAME; // it was carried out already
    bool is_made = !strcmp(b, "check") || !strcmp(b, "replace");
    if (!strcmp(a, "create") && is_made && is_ours)
        return SAME; // a run that was killed has made it
    if (!strcmp(a, "wait-for-deletion") && !strcmp(b, "create"))
        return SAME; // what was waited for
    if (is_done(a) && is_done(b))
        return SAME;
    return ACTION_CHANGED;
}

static json_t *change_of(const json_t *o, const char *what, const char *planned, const char *now,
                         const char *message)
{
    return json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s}", "what", what,
                     "application", json_dot_str(o, "application"), "group",
                     json_dot_str(o, "group"), "kind", json_dot_str(o, "kind"), "namespace",
                     json_dot_str(o, "namespace"), "name", json_dot_str(o, "name"), "phase",
                     json_dot_str(o, "phase"), "planned", planned, "now", now, "message", message);
}

static void add_change(json_t *out, const json_t *o, const char *what, const char *planned,
                       const char *now, const char *message)
{
    json_array_append_new(out, change_of(o, what, planned, now, message));
}

static void compare(json_t *out, const json_t *was, const json_t *now)
{
    const char *a = json_dot_text(was, "action");
    const char *b = json_dot_text(now, "action");
    if (!str_eq(json_dot_str(was, "application"), json_dot_str(now, "application"))) {
        add_change(out, now, "content", a, b, "it is of another application now");
    } else if (!str_eq(json_dot_str(was, "content"), json_dot_str(now, "content"))) {
        add_change(out, now, "content", a, b, "what it should be is not what it was then");
    } else if (judge(was, now) == LIVE_CHANGED) {
        add_change(out, now, "live", a, b, "somebody has changed it in the cluster since");
    } else if (judge(was, now) == ACTION_CHANGED) {
        bool is_gone = !strcmp(b, "create");
        CLEANUP(str_freep)
        char *text = str_printf("planned as %s, it would be %s now", a, b);
        add_change(out, now, is_gone ? "gone" : "action", a, b,
                   is_gone ? "it is no longer in the cluster" : text);
    }
}

static json_t *by_key(const json_t *list)
{
    json_t *map = json_object();
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)list, i, v)
    {
        CLEANUP(str_freep) char *key = key_of(v);
        json_object_set(map, key, v);
    }
    return map;
}

void plan_file_settle(json_t *now, const json_t *before)
{
    CLEANUP(json_freep) json_t *known = by_key(json_object_get(before, "objects"));
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(now, "objects"), i, v)
    {
        CLEANUP(str_freep) char *key = key_of(v);
        const json_t *old = json_object_get(known, key);
        if (old && !strcmp(json_dot_text(v, "action"), "check") && same_live(old, v))
            json_object_set(v, "action", json_object_get(old, "action"));
    }
}

static void compare_objects(json_t *out, const json_t *planned, const json_t *now)
{
    CLEANUP(json_freep) json_t *was = by_key(planned);
    CLEANUP(json_freep) json_t *is = by_key(now);
    const char *key;
    json_t *v;
    json_object_foreach(is, key, v)
    {
        const json_t *old = json_object_get(was, key);
        if (old)
            compare(out, old, v);
        else
            add_change(out, v, "new", NULL, json_dot_str(v, "action"), "it is not in the plan");
    }
    json_object_foreach(was, key, v)
    {
        const char *a = json_dot_text(v, "action");
        // What was to be deleted, or stayed without being wanted, may be gone by now.
        bool may_go = !strcmp(a, "prune") || !strcmp(a, "keep");
        if (!json_object_get(is, key) && !may_go)
            add_change(out, v, "gone", a, NULL, "nothing asks for it any more");
    }
}

static char *source_name(const json_t *s)
{
    const char *chart = json_dot_str(s, "chart");
    return str_printf("%s%s%s %s", chart ? chart : "", chart ? " of " : "", json_dot_text(s, "url"),
                      json_dot_text(s, "target"));
}

static void compare_sources(json_t *out, const json_t *planned, const json_t *now)
{
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)now, i, v)
    {
        const json_t *old = same_source(planned, v);
        if (!old || (str_eq(json_dot_str(old, "revision"), json_dot_str(v, "revision")) &&
                     str_eq(json_dot_str(old, "digest"), json_dot_str(v, "digest"))))
            continue; // one that is new matters by what it brings
        CLEANUP(str_freep) char *name = source_name(v);
        json_array_append_new(out, json_pack("{s:s, s:s, s:s*, s:s*, s:s}", "what", "source",
                                             "name", name, "planned", json_dot_str(old, "digest"),
                                             "now", json_dot_str(v, "digest"), "message",
                                             "what was fetched is not what it was then"));
    }
}

json_t *plan_file_changes(const json_t *planned, const json_t *now)
{
    json_t *out = json_array();
    compare_sources(out, json_object_get(planned, "sources"), json_object_get(now, "sources"));
    compare_objects(out, json_object_get(planned, "objects"), json_object_get(now, "objects"));
    return out;
}
