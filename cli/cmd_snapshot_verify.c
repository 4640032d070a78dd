// SPDX-License-Identifier: Apache-2.0
//
// Proving snapshots whole, and noting what a judge thinks of one.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/snapshot_open.h"

#define DRAW_MS 100
#define MIN_RATE_MS 50 // below that a rate says nothing

// ---- progress: one line of a terminal, taken away at the end ----

struct verify_progress {
    struct cli *c;
    int64_t start_ms, drawn_ms;
    uint64_t files, packs;
    int64_t bytes;
};

static void draw(struct verify_progress *p)
{
    int64_t now = clock_mono_ms();
    if (now - p->drawn_ms < DRAW_MS)
        return;
    p->drawn_ms = now;
    int64_t ms = now - p->start_ms > 0 ? now - p->start_ms : 1;
    CLEANUP(str_freep) char *size = size_text((uint64_t)p->bytes);
    CLEANUP(str_freep) char *rate = size_text((uint64_t)(p->bytes * 1000 / ms));
    CLEANUP(str_freep) char *time = clock_duration_text(ms);
    fprintf(stderr, "\r\033[Kverify   %llu files, %llu packs, %s   %s/s   %s",
            (unsigned long long)p->files, (unsigned long long)p->packs, size, rate, time);
    fflush(stderr);
}

static void on_event(void *ctx, const json_t *event)
{
    struct verify_progress *p = ctx;
    const char *type = json_dot_str(event, "type");
    if (!str_eq(type, "verify.file") && !str_eq(type, "verify.pack"))
        return;
    p->files += str_eq(type, "verify.file");
    p->packs += str_eq(type, "verify.pack");
    p->bytes = json_integer_value(json_object_get(event, "bytes"));
    draw(p);
}

static bool begin_progress(struct cli *c, struct verify_progress *p)
{
    bool shown = isatty(STDERR_FILENO) && !c->o.quiet && !c->o.no_progress;
    *p = (struct verify_progress){.c = c, .start_ms = clock_mono_ms()};
    if (shown)
        c->events = (struct event_sink){on_event, p};
    return shown;
}

static void end_progress(struct cli *c, bool shown)
{
    if (!shown)
        return;
    fprintf(stderr, "\r\033[K");
    c->events = (struct event_sink){0};
}

// ---- what was proved ----

static const char *const level_names[] = {"names", "chain", "index", "content"};

// What could not be looked at with what was given; NULL: nothing.
static const char *unchecked(enum verify_level level, bool quick)
{
    static const char *const what[] = {
        [VERIFY_NAMES] = "",
        [VERIFY_CHAIN] =
            "Not looked at: what the packs hold, and whether the slots open them. That "
            "takes what opens the repository: --identity or a passphrase.",
        [VERIFY_INDEX] =
            "Not looked at: what the packs hold. That takes what opens the repository: "
            "--identity or a passphrase.",
        [VERIFY_CONTENT] = NULL,
    };
    return quick ? "Not looked at: the bytes of packs. Without --quick they are read."
                 : what[level];
}

struct verified {
    struct cli *c;
    struct snap s;
    struct verify_result r;
    uint64_t noted; // snapshot that a judge's verdict was noted of; 0: none
    uint64_t only;
};

static void verified_clear(struct verified *v)
{
    verify_result_clear(&v->r);
    snap_close(&v->s);
}

static bool is_suspect(const struct verified *v, const struct entry *e)
{
    return e->kind == ENTRY_SNAPSHOT && log_standing(&v->s.log, e) == STANDING_LIVE &&
           log_goodness(&v->s.log, e) < SNAP_GOOD && (!v->only || e->seq == v->only);
}

static void print_suspects(const struct verified *v)
{
    for (size_t i = v->s.log.v.len; i-- > 0;) {
        const struct entry *e = &v->s.log.v.v[i];
        struct buf b CLEANUP(buf_clear) = {0};
        if (!is_suspect(v, e))
            continue;
        buf_printf(&b, "snapshot %llu is %s", (unsigned long long)e->seq,
                   goodness_name(log_goodness(&v->s.log, e)));
        for (size_t k = 0; k < e->snapshot.why.len; k++)
            buf_printf(&b, "%s%s", k ? ", " : ": ", e->snapshot.why.v[k]);
        buf_printf(&b,
                   "; it is never restored as latest. If it is right: regrow snapshot judge "
                   "%llu good",
                   (unsigned long long)e->seq);
        printf("  %s ", state_symbol(v->c, NODE_WAITING));
        print_wrapped(stdout, b.p, 4, 6);
    }
}

static void print_unopened(const struct verified *v)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (!v->r.unopened.len || v->r.level != VERIFY_CONTENT)
        return;
    buf_str(&b, v->r.unopened.len == 1 ? "snapshot" : "snapshots");
    for (size_t i = 0; i < v->r.unopened.len; i++)
        buf_printf(&b, "%s %llu", i ? "," : "", (unsigned long long)v->r.unopened.v[i]);
    buf_str(&b, " of an epoch that nothing given opens: bytes were compared, contents were not "
                "looked at");
    printf("  %s ", state_symbol(v->c, NODE_WAITING));
    print_wrapped(stdout, b.p, 4, 6);
}

static bool was_opened(const struct verified *v, uint64_t seq)
{
    for (size_t i = 0; i < v->r.unopened.len; i++)
        if (v->r.unopened.v[i] == seq)
            return false;
    return true;
}

// What to do where only files are damaged that no snapshot is read from.
static const char spare_text[] =
    "Every snapshot can be restored without them. Reports of drills go with their snapshot, when "
    "it is forgotten; a slot is replaced by regrow snapshot key add and key remove.";

static const char closed_text[] =
    "No slot is left: nobody can open this repository any more, unless with an identity file that "
    "was printed from one. Else begin a new repository (regrow snapshot init) while Git and the "
    "cluster are there.";

static void print_problems(const struct verified *v)
{
    bool is_closed = v->r.slots && v->r.slots_lost == v->r.slots;
    struct buf b CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < v->r.problems.len; i++) {
        printf("  %s ", state_symbol(v->c, NODE_FAILED));
        print_wrapped(stdout, v->r.problems.v[i], 4, 6);
    }
    for (size_t i = 0; i < v->r.harmed.len; i++)
        buf_printf(&b, " %llu", (unsigned long long)v->r.harmed.v[i]);
    printf("  next: ");
    print_wrapped(stdout,
                  "put the files back from another copy of the repository: their names are the "
                  "SHA-256 of what they must be.",
                  8, 8);
    CLEANUP(str_freep)
    char *text =
        !b.len
            ? str_dup(is_closed ? closed_text : spare_text)
            : str_printf(
                  "Else run regrow snapshot create, which writes again what its "
                  "sources still have, then regrow snapshot forget%s (--write-off where an index "
                  "file is lost)",
                  b.p);
    printf("        ");
    print_wrapped(stdout, text, 8, 8);
}

static void print_text(const struct verified *v)
{
    const struct verify_result *r = &v->r;
    bool whole = !r->problems.len;
    int64_t ms = r->ms > 0 ? r->ms : 1;
    uint64_t read = r->level == VERIFY_CONTENT ? r->content_bytes : r->stored_bytes;
    CLEANUP(str_freep) char *stored = size_text(r->stored_bytes);
    CLEANUP(str_freep) char *content = size_text(r->content_bytes);
    CLEANUP(str_freep) char *rate = size_text(read * 1000 / (uint64_t)ms);
    CLEANUP(str_freep) char *time = clock_duration_text(r->ms);
    struct buf b CLEANUP(buf_clear) = {0};
    if (whole)
        buf_printf(&b, "%llu snapshot%s of %s whole", (unsigned long long)r->snapshots,
                   r->snapshots == 1 ? "" : "s", v->s.chain);
    else if (!r->harmed.len)
        buf_printf(&b, "%llu snapshot%s of %s whole, but %zu other file%s damaged",
                   (unsigned long long)r->snapshots, r->snapshots == 1 ? "" : "s", v->s.chain,
                   r->problems.len, r->problems.len == 1 ? "" : "s");
    else
        buf_printf(&b, "%zu of %llu snapshots of %s damaged", r->harmed.len,
                   (unsigned long long)r->snapshots, v->s.chain);
    buf_printf(&b, "   %llu files, %s", (unsigned long long)r->files, stored);
    if (r->level == VERIFY_CONTENT)
        buf_printf(&b, ", %s of content", content);
    buf_printf(&b, ", in %s", time);
    if (!v->c->o.snap.quick && r->ms >= MIN_RATE_MS)
        buf_printf(&b, " (%s/s)", rate);
    if (!whole)
        buf_str(&b, "   (exit" NBSP "9)");
    printf("%s ", state_symbol(v->c, whole ? NODE_READY : NODE_FAILED));
    print_wrapped(stdout, b.p, 2, 2);
    print_suspects(v);
    print_unopened(v);
    if (!whole)
        print_problems(v);
    if (v->noted)
        printf("  snapshot %llu is noted as verified\n", (unsigned long long)v->noted);
    if (unchecked(r->level, v->c->o.snap.quick))
        print_wrapped(stdout, unchecked(r->level, v->c->o.snap.quick), 0, 0);
}

static void print_verify_doc(const struct verified *v)
{
    const struct verify_result *r = &v->r;
    CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-verify", &v->s);
    json_t *problems = json_array();
    json_t *harmed = json_array();
    json_t *suspect = json_array();
    for (size_t i = 0; i < r->problems.len; i++)
        json_array_append_new(problems, json_string(r->problems.v[i]));
    for (size_t i = 0; i < r->harmed.len; i++)
        json_array_append_new(harmed, json_integer((json_int_t)r->harmed.v[i]));
    for (size_t i = 0; i < v->s.log.v.len; i++)
        if (is_suspect(v, &v->s.log.v.v[i]))
            json_array_append_new(suspect, json_integer((json_int_t)v->s.log.v.v[i].seq));
    CLEANUP(json_freep)
    json_t *more = json_pack(
        "{s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:s*}", "whole",
        !r->problems.len, "level", level_names[r->level], "snapshots", (json_int_t)r->snapshots,
        "files", (json_int_t)r->files, "packs", (json_int_t)r->packs, "blobs", (json_int_t)r->blobs,
        "gitObjects", (json_int_t)r->git_objects, "contentBytes", (json_int_t)r->content_bytes,
        "storedBytes", (json_int_t)r->stored_bytes, "ms", (json_int_t)r->ms, "problems", problems,
        "damaged", harmed, "suspect", suspect, "unchecked",
        unchecked(r->level, v->c->o.snap.quick));
    json_object_update(doc, more);
    json_t *unopened = json_array();
    for (size_t i = 0; i < r->unopened.len; i++)
        json_array_append_new(unopened, json_integer((json_int_t)r->unopened.v[i]));
    json_object_set_new(doc, "unopened", unopened);
    if (v->noted)
        json_object_set_new(doc, "noted", json_integer((json_int_t)v->noted));
    print_doc(v->c, doc);
}

// ---- the run ----

static bool verify(struct verified *v, struct err *err)
{
    struct age_identities ids CLEANUP(age_identities_clear) = {0};
    struct chain_keys k;
    vec_reserve(&ids.v, v->s.unlocked.v.len + 1); // growing would leave copies behind
    for (size_t i = 0; i < v->s.unlocked.v.len; i++)
        *vec_push(&ids.v) = v->s.unlocked.v.v[i].identity;
    bool is_job = v->s.has_key && v->s.key.kind == CREDENTIAL_JOB;
    if (is_job)
        chain_keys_from_k(v->s.key.k, &k);
    struct verify_opts o = {.identities = ids.v.len ? &ids : NULL,
                            .k = is_job ? &k : NULL,
                            .only_seq = v->only,
                            .quick = v->c->o.snap.quick};
    bool ok = repo_verify(&v->s.repo, &v->s.log, &o, &v->r, err);
    if (is_job)
        chain_keys_wipe(&k);
    return ok;
}

// A judge's word for the one that was asked about, else for the newest good one.
static bool note(struct verified *v, struct err *err)
{
    const struct entry *good = log_latest_good(&v->s.log);
    uint64_t seq = v->only ? v->only : good ? good->seq : 0;
    bool made = false;
    if (!v->s.has_key || v->s.key.kind != CREDENTIAL_JUDGE || !seq || v->r.problems.len ||
        v->r.level != VERIFY_CONTENT || !was_opened(v, seq))
        return true;
    if (!repo_judge(&v->s.repo, v->s.chain, &v->s.key, seq, VERDICT_VERIFIED, NULL, &made, err))
        return err_wrap(err, "note it");
    v->noted = seq;
    return true;
}

static bool run(struct verified *v, struct err *err)
{
    struct snap_want want = {.read = READ_IF_GIVEN, .chain = true};
    const struct entry *e = NULL;
    const char *which = v->c->o.args.len ? v->c->o.args.v[0] : NULL;
    if (!snap_open(v->c, &v->c->o.snap, &want, &v->s, err) || !snap_log(&v->s, err) ||
        (which && !snap_find(&v->s, which, &e, err)))
        return false;
    v->only = e ? e->seq : 0;
    return verify(v, err) && note(v, err);
}

int cmd_snapshot_verify(struct cli *c, struct err *err)
{
    struct verified v CLEANUP(verified_clear) = {.c = c};
    struct verify_progress p;
    bool shown = begin_progress(c, &p);
    bool ok = run(&v, err);
    end_progress(c, shown);
    if (!ok)
        return 0;
    if (wants_doc(c))
        print_verify_doc(&v);
    else
        print_text(&v);
    return v.r.problems.len ? err_exit_code(ERR_CORRUPT) : 0;
}

// ---- judge ----

static bool parse_verdict(const struct cli *c, enum verdict *out, struct err *err)
{
    const char *word = c->o.args.len > 1 ? c->o.args.v[1] : NULL;
    *out = str_eq(word, "bad") ? VERDICT_BAD : VERDICT_GOOD;
    if (*out == VERDICT_BAD || str_eq(word, "good"))
        return true;
    if (word)
        return err_set(err, ERR_USAGE, "\"%.80s\": is it good or bad?", word);
    return err_set(err, ERR_USAGE, "which snapshot, and is it good or bad?");
}

int cmd_snapshot_judge(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct snap_want want = {
        .read = READ_NOTHING, .key = true, .kind = CREDENTIAL_JUDGE, .chain = true};
    const struct entry *e = NULL;
    enum verdict v = VERDICT_GOOD;
    bool made = false;
    const char *why = c->o.args.len > 2 ? c->o.args.v[2] : NULL;
    if (!parse_verdict(c, &v, err) || !snap_open(c, &c->o.snap, &want, &s, err) ||
        !snap_log(&s, err) || !snap_find(&s, c->o.args.v[0], &e, err) ||
        !repo_judge(&s.repo, s.chain, &s.key, e->seq, v, why, &made, err))
        return 0;
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-judge", &s);
        json_object_set_new(doc, "seq", json_integer((json_int_t)e->seq));
        json_object_set_new(doc, "verdict", json_string(verdict_name(v)));
        json_object_set_new(doc, "made", json_boolean(made));
        print_doc(c, doc);
        return 0;
    }
    printf("%s snapshot %llu of %s is %s%s\n", state_symbol(c, NODE_READY),
           (unsigned long long)e->seq, s.chain, verdict_name(v),
           made ? "" : ", as was said before");
    return 0;
}
