// SPDX-License-Identifier: Apache-2.0
//
// A snapshot as one file that needs no regrow.
#include <stdlib.h>

#include "base/file.h"
#include "cli/snapshot_keys.h"

struct exporting {
    struct cli *c;
    struct snap s;
    struct ways to;
    const struct entry *e;
    const char *file;
    struct export_result r;
    int64_t began_ms;
};

static void exporting_clear(struct exporting *x)
{
    export_result_clear(&x->r);
    ways_clear(&x->to);
    snap_close(&x->s);
}

// ---- what is said ----

static void add_count(struct buf *b, uint64_t n, const char *one, const char *many)
{
    buf_printf(b, "%s%llu %s", b->len ? ", " : "", (unsigned long long)n, n == 1 ? one : many);
}

static void print_text(const struct exporting *x)
{
    const struct export_result *r = &x->r;
    struct buf counts CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *size = size_text(r->bytes);
    CLEANUP(str_freep) char *took = clock_duration_text(clock_mono_ms() - x->began_ms);
    add_count(&counts, r->objects, "object", "objects");
    add_count(&counts, r->secrets, "Secret", "Secrets");
    add_count(&counts, r->steps, "step", "steps");
    if (r->clusters)
        add_count(&counts, r->clusters, "other cluster", "other clusters");
    add_count(&counts, r->repositories, "repository", "repositories");
    add_count(&counts, r->sources, "other source", "other sources");
    CLEANUP(str_freep)
    char *text =
        str_printf("snapshot %llu of %s is in %s   %s   %s   %s", (unsigned long long)x->e->seq,
                   x->s.chain, x->file, counts.p, size, took);
    printf("%s ", state_symbol(x->c, NODE_READY));
    print_wrapped(stdout, text, 2, 2);
    for (size_t i = 0; i < r->warnings.len; i++) {
        printf("  ! ");
        print_wrapped(stdout, r->warnings.v[i], 4, 6);
    }
    printf(x->c->o.snap.no_secrets
               ? "  Secrets were left out; what Git holds lies in it as it is.\n"
               : "  Only Secrets are sealed; what Git holds lies in it as it is.\n");
}

static void print_export_doc(const struct exporting *x)
{
    const struct export_result *r = &x->r;
    CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-export", &x->s);
    CLEANUP(str_freep) char *sums = snap_pin_text(&r->sums);
    json_t *warnings = json_array();
    for (size_t i = 0; i < r->warnings.len; i++)
        json_array_append_new(warnings, json_string(r->warnings.v[i]));
    CLEANUP(json_freep)
    json_t *more = json_pack(
        "{s:I, s:s, s:I, s:s, s:b, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:o, s:I}", "seq",
        (json_int_t)x->e->seq, "file", x->file, "bytes", (json_int_t)r->bytes, "sums", sums,
        "signed", x->s.has_key, "counts", "apps", (json_int_t)r->apps, "clusters",
        (json_int_t)r->clusters, "objects", (json_int_t)r->objects, "secrets",
        (json_int_t)r->secrets, "repositories", (json_int_t)r->repositories, "sources",
        (json_int_t)r->sources, "files", (json_int_t)r->files, "steps", (json_int_t)r->steps,
        "warnings", warnings, "ms", (json_int_t)(clock_mono_ms() - x->began_ms));
    json_object_update(doc, more);
    print_doc(x->c, doc);
}

// ---- the command ----

static bool check_given(struct exporting *x, struct err *err)
{
    const struct options *o = &x->c->o;
    if (o->args.len < 2)
        return err_set(err, ERR_USAGE, "a snapshot and a file are wanted");
    x->file = o->args.v[1];
    if (!o->snap.no_secrets && !o->snap.recipients.len) {
        err_set(err, ERR_USAGE, "nobody is named who may open the Secrets");
        return err_hint(err, "--recipient AGE names them; --no-secrets leaves them out.");
    }
    if (o->snap.no_secrets && o->snap.recipients.len)
        return err_set(err, ERR_USAGE, "--no-secrets and --recipient exclude each other");
    return ways_recipients(&x->to, &o->snap, err);
}

static bool write_file(struct exporting *x, struct err *err)
{
    const struct age_identity *id = NULL;
    CLEANUP(reader_freep) struct reader *rd = NULL;
    CLEANUP(str_freep) char *cache = cli_cache_dir(x->c);
    CLEANUP(str_freep) char *work = path_join(cache, "snapshot-work");
    struct export_opts o = {.log = &x->s.log,
                            .entry = x->e,
                            .recipients = x->to.recipients,
                            .n_recipients = x->to.n,
                            .without_secrets = x->c->o.snap.no_secrets,
                            .signer = x->s.has_key ? &x->s.key.signer : NULL,
                            .work = work,
                            .replace = x->c->o.snap.replace};
    bool ok = snap_identity(&x->s, x->e, &id, err) &&
              reader_open(&x->s.repo, x->s.chain, x->e, id, &rd, err) &&
              snapshot_export(&x->s.repo, rd, &o, x->file, &x->r, err);
    if (!ok && err->kind == ERR_CONFLICT && !err->hint)
        err_hint(err, "--replace writes over it.");
    return ok;
}

// What is to be known of it besides what is not in the file.
static void add_warnings(struct exporting *x)
{
    char *forgotten = snap_forgotten_text(&x->s, x->e);
    if (forgotten)
        strv_push_take(&x->r.warnings, forgotten);
    if (log_goodness(&x->s.log, x->e) < SNAP_GOOD)
        strv_push_take(&x->r.warnings, str_printf("this snapshot is %s, not good",
                                                  goodness_name(log_goodness(&x->s.log, x->e))));
}

int cmd_snapshot_export(struct cli *c, struct err *err)
{
    struct exporting x CLEANUP(exporting_clear) = {.c = c, .began_ms = clock_mono_ms()};
    struct snap_want want = {.read = READ_MUST, .chain = true};
    if (!check_given(&x, err) || !snap_open(c, &c->o.snap, &want, &x.s, err) ||
        !snap_log(&x.s, err) || !snap_find(&x.s, c->o.args.v[0], &x.e, err) || !write_file(&x, err))
        return 0;
    add_warnings(&x);
    if (wants_doc(c))
        print_export_doc(&x);
    else
        print_text(&x);
    return 0;
}
