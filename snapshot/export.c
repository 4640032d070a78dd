// SPDX-License-Identifier: Apache-2.0
//
// One export from beginning to end: what a person reads first, Git and charts, objects in steps,
// checksums last.
#include "snapshot/export.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gitops/gitops.h"
#include "snapshot/contents.h"
#include "snapshot/create.h"
#include "snapshot/export_int.h"

void export_result_clear(struct export_result *r)
{
    strv_clear(&r->warnings);
    *r = (struct export_result){0};
}

void export_warn(struct export *x, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    CLEANUP(str_freep) char *text = str_vprintf(fmt, ap);
    va_end(ap);
    strv_push_take(&x->out->warnings,
                   x->cluster ? str_printf("cluster %s: %s", x->cluster, text) : str_dup(text));
}

bool export_add(struct export *x, const char *name, const struct buf *b, struct err *err)
{
    CLEANUP(str_freep) char *path = str_printf("%s%s", x->folder ? x->folder : "", name);
    return export_tar_add(x->tar, path, b->p ? b->p : "", b->len, err);
}

static char *hex_of(const struct sha256 *h)
{
    return hex_encode(h->b, sizeof(h->b));
}

// ---- what a person reads first ----

static bool add_contents(struct export *x, struct err *err)
{
    const struct entry *e = x->o->entry;
    CLEANUP(str_freep) char *hash = hex_of(&e->hash);
    CLEANUP(str_freep) char *pin = hex_of(&x->r->trust.pin);
    CLEANUP(str_freep) char *repo = hex_encode(e->repo, sizeof(e->repo));
    CLEANUP(str_freep) char *at = clock_rfc3339(e->time_unix_s);
    if (!contents_read(x->rd, &x->contents, err))
        return false;
    CLEANUP(json_freep)
    json_t *head =
        json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:b}", "type", "regrow export v1",
                  "repo", repo, "chain", e->chain, "seq", (json_int_t)e->seq, "entry", hash, "pin",
                  pin, "taken", at, "state", goodness_name(log_goodness(x->o->log, e)),
                  "secretsLeftOut", x->o->without_secrets);
    json_object_update(head, x->contents);
    char *text = json_dumps(head, JSON_INDENT(2) | JSON_SORT_KEYS);
    bool ok = export_tar_add(x->tar, "snapshot.json", text, strlen(text), err);
    free(text);
    return ok;
}

static void add_recipients(const struct export *x, struct buf *b)
{
    if (x->o->without_secrets) {
        buf_str(b,
                "Secrets were left out: they must come from elsewhere, before what needs them.\n");
        return;
    }
    buf_str(b, "Secrets are sealed to:\n\n");
    for (size_t i = 0; i < x->o->n_recipients; i++) {
        CLEANUP(str_freep) char *text = age_recipient_text(x->o->recipients[i]);
        buf_printf(b, "    %s\n", text);
    }
}

static bool add_readme(struct export *x, struct err *err)
{
    const struct entry *e = x->o->entry;
    struct buf b CLEANUP(buf_clear) = {0};
    struct export_text text = export_restore_md();
    CLEANUP(str_freep) char *at = clock_rfc3339(e->time_unix_s);
    const struct snapshot_entry *s = &e->snapshot;
    buf_printf(&b,
               "# Snapshot %llu of %s\n\n"
               "Taken %.10s %.5s UTC, %s. %llu applications, %llu objects, %llu Secrets, %llu Git "
               "refs.\n\n",
               (unsigned long long)e->seq, e->chain, at, at + 11,
               goodness_name(log_goodness(x->o->log, e)),
               (unsigned long long)(s->counts.apps ? s->counts.apps - 1 : 0),
               (unsigned long long)s->counts.objects, (unsigned long long)s->counts.secrets,
               (unsigned long long)s->counts.refs);
    add_recipients(x, &b);
    buf_char(&b, '\n');
    export_clusters_text(x, &b);
    buf_append(&b, text.p, text.len);
    return export_tar_add(x->tar, "RESTORE.md", b.p, b.len, err);
}

static bool add_script(struct export *x, struct err *err)
{
    struct export_text text = export_restore_sh();
    return export_tar_begin(x->tar, "restore.sh", text.len, true, err) &&
           export_tar_data(x->tar, text.p, text.len, err) && export_tar_done(x->tar, err);
}

// ---- what comes last ----

// So that a stranger with the pin can see who may sign: the trust of the repository, as it lies.
static bool add_trust(struct export *x, struct err *err)
{
    for (unsigned n = 1; n <= trust_now(&x->r->trust)->n; n++) {
        CLEANUP(str_freep) char *name = str_printf("trust/%04u", n);
        struct buf b CLEANUP(buf_clear) = {0};
        bool found = false;
        if (!store_get(x->r->store, name, TRUST_MAX_BYTES, &b, &found, err))
            return false;
        if (!found)
            return err_set(err, ERR_CORRUPT, "%s is not there", name);
        if (!export_tar_add(x->tar, name, b.p, b.len, err))
            return false;
    }
    return true;
}

static bool add_signature(struct export *x, const struct buf *sums, struct err *err)
{
    const struct entry *e = x->o->entry;
    struct buf line CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *hash = hex_of(&e->hash);
    CLEANUP(str_freep) char *repo = hex_encode(e->repo, sizeof(e->repo));
    x->out->sums = sha256_of(sums->p, sums->len);
    CLEANUP(str_freep) char *hex = hex_of(&x->out->sums);
    CLEANUP(json_freep)
    json_t *body = json_pack("{s:s, s:s, s:I, s:s, s:s}", "repo", repo, "chain", e->chain, "seq",
                             (json_int_t)e->seq, "entry", hash, "sums", hex);
    if (!x->o->signer)
        return true;
    signed_write("export", body, x->o->signer, 1, &line);
    return export_tar_add(x->tar, FORM_SIGNED, line.p, line.len, err);
}

static bool add_sums(struct export *x, struct err *err)
{
    struct buf sums CLEANUP(buf_clear) = {0};
    buf_append(&sums, export_tar_sums(x->tar)->p, export_tar_sums(x->tar)->len);
    for (size_t i = 0; i < sums.len; i++)
        x->out->files += sums.p[i] == '\n';
    return export_tar_add(x->tar, FORM_SUMS, sums.p, sums.len, err) && add_signature(x, &sums, err);
}

// ---- the whole ----

static bool write_all(struct export *x, struct err *err)
{
    if (!reader_root(x->rd, &x->root, err) || !export_clusters_find(x, err) ||
        !export_apps(x, err) || !add_readme(x, err) || !add_script(x, err) ||
        !add_contents(x, err) || !export_sources(x, err) || !export_objects(x, err) ||
        !export_clusters(x, err) || !export_lists(x, err) || !add_trust(x, err) ||
        !add_sums(x, err))
        return false;
    if (x->r->loop && loop_stopping(x->r->loop))
        return err_set(err, ERR_CANCELLED, "interrupted");
    return export_tar_end(x->tar, &x->out->bytes, err);
}

void export_part_clear(struct export *x)
{
    for (size_t i = 0; i < x->objects.len; i++) {
        json_decref(x->objects.v[i].row);
        free(x->objects.v[i].key);
    }
    vec_clear(&x->objects);
    export_order_clear(&x->order);
    buf_clear(&x->steps);
    json_decref(x->root);
    json_decref(x->live);
    json_decref(x->secrets);
    json_decref(x->defined);
    json_decref(x->apps);
}

static void export_clear(struct export *x)
{
    export_tar_free(x->tar);
    export_part_clear(x);
    idmap_clear(&x->pieces);
    json_decref(x->contents);
    json_decref(x->clusters);
    json_decref(x->elsewhere);
}

bool snapshot_export(struct repo *r, struct reader *rd, const struct export_opts *o,
                     const char *file, struct export_result *out, struct err *err)
{
    struct workdir work CLEANUP(workdir_remove) = {.fd = -1};
    struct export x CLEANUP(export_clear) = {
        .r = r, .rd = rd, .o = o, .out = out, .defined = json_object(), .secrets = json_object()};
    CLEANUP(str_freep)
    char *top = str_printf("%s-%llu", o->entry->chain, (unsigned long long)o->entry->seq);
    const char *label;
    if (!o->without_secrets && !o->n_recipients)
        return err_set(err, ERR_USAGE, "nobody is named who may open the Secrets");
    if (o->signer && !form_signer(trust_now(&r->trust), o->signer->public, o->entry->chain, &label))
        return err_set(err, ERR_DENIED,
                       "this key may not vouch for snapshots of chain %s: that of an admin, of a "
                       "judge or of its writer may",
                       o->entry->chain);
    if (!export_tar_new(file, top, o->entry->time_unix_s, o->replace, &x.tar, err) ||
        !workdir_make(o->work, &work, err))
        return false;
    x.work = work.path;
    return write_all(&x, err);
}
