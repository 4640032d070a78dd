// SPDX-License-Identifier: Apache-2.0
//
// An export back into a repository.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/snapshot_open.h"

struct importing {
    struct cli *c;
    struct snap s;
    struct import *m;
    struct copy *copy;
    const struct import_facts *f;
    struct entry made; // seq 0: nothing was written
    bool is_there;
    int64_t began_ms;
};

static void importing_clear(struct importing *x)
{
    entry_clear(&x->made);
    copy_free(x->copy);
    import_free(x->m);
    snap_close(&x->s);
}

// ---- what is said ----

static const char *code_words(const char *code)
{
    static const struct {
        const char *code, *words;
    } rows[] = {
        {"unsigned", "nobody signed it: whoever had the file may have changed it"},
        {"unpinned", "nothing says that its repository is yours: compare the pin"},
        {"no-secrets", "Secrets were left out when it was exported"},
        {"judged-bad", "a judge had called it bad"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].code, code))
            return rows[i].words;
    return NULL;
}

// As it is stored, or as it would be.
static const struct snapshot_entry *result_of(const struct importing *x)
{
    return x->made.seq ? &x->made.snapshot : copy_result(x->copy);
}

static int exit_of(const struct importing *x)
{
    return result_of(x)->is_good || x->is_there || x->c->o.snap.dry_run
               ? 0
               : err_exit_code(ERR_PARTIAL);
}

static void print_who(const struct importing *x)
{
    const struct import_facts *f = x->f;
    CLEANUP(str_freep) char *pin = snap_pin_text(&f->pin);
    CLEANUP(str_freep)
    char *who = f->is_signed ? str_printf("signed by %s %s (%s)", f->role, f->key.hex, f->label)
                             : str_dup("not signed");
    CLEANUP(str_freep)
    char *text =
        str_printf("%s, of the repository with the pin %s, %s", who, pin,
                   f->is_pinned ? "which is the one it must be" : "which nobody has named");
    printf("  %s ", f->is_signed && f->is_pinned ? " " : "!");
    print_wrapped(stdout, text, 4, 4);
}

static void print_doubts(const struct importing *x)
{
    const struct strv *why = &result_of(x)->why;
    for (size_t i = 0; i < why->len; i++) {
        const char *words = code_words(why->v[i]);
        CLEANUP(str_freep)
        char *text = words ? str_printf("%s: %s", why->v[i], words)
                           : str_printf("%s: its writer said so", why->v[i]);
        printf("  ! ");
        print_wrapped(stdout, text, 4, 6);
    }
}

static char *result_text(const struct importing *x)
{
    const struct entry *from = x->f->entry;
    const struct snapshot_entry *s = result_of(x);
    CLEANUP(str_freep) char *at = clock_rfc3339(from->time_unix_s);
    CLEANUP(str_freep)
    char *of = str_printf("snapshot %llu of %s, taken %.10s %.5s UTC,",
                          (unsigned long long)from->seq, from->chain, at, at + 11);
    if (x->is_there)
        return str_printf("%s is there already", of);
    if (!x->made.seq)
        return str_printf("%s would come into chain %s of %s, %s; nothing was written", of,
                          x->s.chain, x->s.repo.store->url, s->is_good ? "good" : "suspect");
    CLEANUP(str_freep) char *added = size_text(x->made.snapshot.bytes.added);
    CLEANUP(str_freep) char *took = clock_duration_text(clock_mono_ms() - x->began_ms);
    return str_printf("%s is snapshot %llu of chain %s of %s   %s   %s added   %s", of,
                      (unsigned long long)x->made.seq, x->s.chain, x->s.repo.store->url,
                      s->is_good ? "good" : "suspect   (exit" NBSP "10)", added, took);
}

static void print_text(const struct importing *x)
{
    bool is_doubtful = exit_of(x) != 0;
    CLEANUP(str_freep) char *text = result_text(x);
    printf("%s ", state_symbol(x->c, is_doubtful ? NODE_FAILED : NODE_READY));
    print_wrapped(stdout, text, 2, 2);
    print_who(x);
    if (!x->is_there)
        print_doubts(x);
    if (!is_doubtful)
        return;
    CLEANUP(str_freep)
    char *judge = str_printf("look at it (regrow snapshot show %llu), then regrow snapshot judge "
                             "%llu good, or bad; until then it is not what latest means",
                             (unsigned long long)x->made.seq, (unsigned long long)x->made.seq);
    printf("  next: ");
    print_wrapped(stdout, judge, 8, 8);
}

static json_t *from_doc(const struct importing *x)
{
    const struct import_facts *f = x->f;
    CLEANUP(str_freep) char *repo = hex_encode(f->entry->repo, sizeof(f->entry->repo));
    CLEANUP(str_freep) char *pin = snap_pin_text(&f->pin);
    CLEANUP(str_freep) char *sums = snap_pin_text(&f->sums);
    CLEANUP(str_freep) char *taken = clock_rfc3339(f->entry->time_unix_s);
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:b, s:b, s:I}", "file", x->c->o.args.v[0],
                  "chain", f->entry->chain, "seq", (json_int_t)f->entry->seq, "taken", taken,
                  "repository", repo, "pin", pin, "sums", sums, "pinned", f->is_pinned, "signed",
                  f->is_signed, "bytes", (json_int_t)f->bytes);
    if (f->is_signed)
        json_object_set_new(
            o, "signedBy",
            json_pack("{s:s, s:s, s:s}", "key", f->key.hex, "role", f->role, "label", f->label));
    return o;
}

static void print_import_doc(const struct importing *x)
{
    const struct snapshot_entry *s = result_of(x);
    CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-import", &x->s);
    json_t *why = json_array();
    for (size_t i = 0; i < s->why.len; i++)
        json_array_append_new(why, json_string(s->why.v[i]));
    CLEANUP(json_freep)
    json_t *more =
        json_pack("{s:o, s:b, s:b, s:s, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:I, s:i}", "from",
                  from_doc(x), "alreadyThere", x->is_there, "dryRun", x->c->o.snap.dry_run, "state",
                  s->is_good ? "good" : "suspect", "why", why, "counts", "apps",
                  (json_int_t)s->counts.apps, "objects", (json_int_t)s->counts.objects, "sources",
                  (json_int_t)s->counts.sources, "unknown", (json_int_t)s->counts.unknown,
                  "secrets", (json_int_t)s->counts.secrets, "refs", (json_int_t)s->counts.refs,
                  "ms", (json_int_t)(clock_mono_ms() - x->began_ms), "exitCode", exit_of(x));
    json_object_update(doc, more);
    if (x->made.seq) {
        CLEANUP(str_freep) char *hash = snap_pin_text(&x->made.hash);
        json_object_set_new(doc, "seq", json_integer((json_int_t)x->made.seq));
        json_object_set_new(doc, "hash", json_string(hash));
        json_object_set_new(doc, "added", json_integer((json_int_t)x->made.snapshot.bytes.added));
    }
    print_doc(x->c, doc);
}

// ---- the command ----

static bool open_export(struct importing *x, const char *work, struct err *err)
{
    const struct options *o = &x->c->o;
    struct sha256 pin;
    struct import_opts io = {
        .loop = x->c->loop, .events = &x->c->events, .here = &x->s.repo.trust.pin, .work = work};
    if (!str_is_empty(o->snap.from_trust)) {
        if (!snap_parse_pin("--from-trust", o->snap.from_trust, &pin, err))
            return false;
        io.pin = &pin;
    }
    if (!import_open(o->args.v[0], &io, &x->m, err)) {
        if (err->kind == ERR_CORRUPT && !err->hint)
            err_hint(err, "Nothing was written. Another copy of the file may be whole; take "
                          "nothing from this one before you know what happened to it.");
        return false;
    }
    x->f = import_facts(x->m);
    return true;
}

static bool check_and_commit(struct importing *x, struct err *err)
{
    const struct snapshot_options *o = &x->c->o.snap;
    const struct snapshot_entry *result = copy_result(x->copy);
    if (!import_check(x->m, &x->s.log, result, o->on_top, &x->is_there, err)) {
        if (err->kind == ERR_CONFLICT && !err->hint)
            err_hint(err, "Import into a chain of its own (regrow snapshot key add --role writer "
                          "--chain NAME makes its job), or --on-top.");
        return false;
    }
    return x->is_there || o->dry_run || copy_commit(x->copy, &x->made, err);
}

static bool run(struct importing *x, const char *work, struct err *err)
{
    struct snap_want want = {.key = true, .kind = CREDENTIAL_JOB, .new_chain = true};
    struct copy_opts o = {.job = &x->s.key, .work = work};
    if (!x->c->o.args.len)
        return err_set(err, ERR_USAGE, "which file? An export is wanted");
    if (!snap_open(x->c, &x->c->o.snap, &want, &x->s, err) ||
        !dir_make(x->s.index_cache, 0700, err) || !snap_log(&x->s, err) ||
        !open_export(x, work, err) || !snap_need_identities(&x->s, err))
        return false;
    if (!import_read(x->m, &x->s.ids, err)) {
        if (err->kind == ERR_DENIED)
            err_hint(err, "--identity FILE, of a recipient that was named when it was exported.");
        return false;
    }
    o.index_cache = x->s.index_cache;
    o.doubts = &x->f->doubts;
    o.export = &x->f->sums;
    if (!copy_begin(import_reader(x->m), x->f->entry, &x->s.repo, &o, &x->copy, err))
        return err_wrap(err, "%s", x->c->o.args.v[0]);
    return check_and_commit(x, err);
}

int cmd_snapshot_import(struct cli *c, struct err *err)
{
    struct importing x CLEANUP(importing_clear) = {.c = c, .began_ms = clock_mono_ms()};
    CLEANUP(str_freep) char *cache = cli_cache_dir(c);
    CLEANUP(str_freep) char *work = path_join(cache, "snapshot-work");
    struct progress *p CLEANUP(progress_freep) = progress_new(c);
    bool ok = run(&x, work, err);
    progress_end(p);
    if (!ok) {
        if (err->kind == ERR_CANCELLED && !err->hint)
            err_hint(err, "Nothing half is there: the same command begins again.");
        return 0;
    }
    if (wants_doc(c))
        print_import_doc(&x);
    else
        print_text(&x);
    return exit_of(&x);
}
