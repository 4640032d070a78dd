// SPDX-License-Identifier: Apache-2.0
//
// What need not be kept any longer: forgotten at once, brought back within the grace, deleted
// after.
#include <stdlib.h>
#include <string.h>

#include "cli/snapshot_open.h"

// Numbers of snapshots or entries.
struct numbers {
    VEC(uint64_t) v;
};

static void numbers_clear(struct numbers *n)
{
    vec_clear(&n->v);
}

static bool parse_numbers(const struct strv *from, struct numbers *out, struct err *err)
{
    for (size_t i = 0; i < from->len; i++) {
        long long seq = 0;
        if (!str_to_int(from->v[i], 1, ENTRY_MAX_SEQ, &seq))
            return err_set(err, ERR_USAGE, "\"%.80s\": the number of a snapshot is wanted",
                           from->v[i]);
        *vec_push(&out->v) = (uint64_t)seq;
    }
    return true;
}

static struct keep_rules rules_of(const struct snapshot_options *o)
{
    struct keep_rules r = keep_rules_default();
    r.last = (unsigned)o->keep_last;
    r.hourly = (unsigned)o->keep_hourly;
    r.daily = (unsigned)o->keep_daily;
    r.weekly = (unsigned)o->keep_weekly;
    r.monthly = (unsigned)o->keep_monthly;
    r.yearly = (unsigned)o->keep_yearly;
    if (o->min_good)
        r.min_good = (unsigned)o->min_good;
    if (o->keep_within_ms != TIME_NOT_GIVEN)
        r.within_ms = o->keep_within_ms;
    if (o->keep_suspect_ms != TIME_NOT_GIVEN)
        r.suspect_ms = o->keep_suspect_ms;
    return r;
}

static bool has_rules(const struct snapshot_options *o)
{
    return o->keep_last || o->keep_hourly || o->keep_daily || o->keep_weekly || o->keep_monthly ||
           o->keep_yearly || o->keep_within_ms != TIME_NOT_GIVEN;
}

static struct snap_want want_pruner(const struct cli *c)
{
    bool needs_key = !c->o.snap.dry_run && !c->o.snap.remove_untrusted.len;
    return (struct snap_want){
        .read = READ_NOTHING, .key = needs_key, .kind = CREDENTIAL_PRUNER, .chain = true};
}

static json_t *numbers_doc(const uint64_t *v, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, json_integer((json_int_t)v[i]));
    return out;
}

// ---- forget ----

static void print_decisions(const struct cli *c, const struct prune_result *r)
{
    struct table *t CLEANUP(table_freep) = table_new(c, true, 2);
    table_column(t, "SEQ", TABLE_RIGHT);
    table_column(t, "", 0);
    table_column(t, "WHY", TABLE_WRAP);
    for (size_t i = r->decisions.v.len; i-- > 0;) {
        const struct keep_decision *d = &r->decisions.v.v[i];
        size_t row = table_row(t, -1);
        CLEANUP(str_freep) char *seq = str_printf("%llu", (unsigned long long)d->seq);
        table_cell(t, row, 0, NULL, seq);
        table_cell(t, row, 1, d->keep ? NULL : "yellow", d->keep ? "keep" : "forget");
        table_cell(t, row, 2, NULL, *d->why ? d->why : "no rule keeps it");
    }
    table_print(t);
}

static json_t *decisions_doc(const struct prune_result *r)
{
    json_t *out = json_array();
    for (size_t i = r->decisions.v.len; i-- > 0;) {
        const struct keep_decision *d = &r->decisions.v.v[i];
        json_array_append_new(out, json_pack("{s:I, s:b, s:s}", "seq", (json_int_t)d->seq, "keep",
                                             (int)d->keep, "why", d->why));
    }
    return out;
}

static bool has_number(const uint64_t *v, size_t n, uint64_t seq)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] == seq)
            return true;
    return false;
}

// "1 to 5, 7": ascending numbers, owned.
static char *numbers_text(const uint64_t *v, size_t n)
{
    struct buf b = {0};
    for (size_t i = 0; i < n; i++) {
        size_t first = i;
        while (i + 1 < n && v[i + 1] == v[i] + 1)
            i++;
        buf_printf(&b, "%s%llu", first ? ", " : "", (unsigned long long)v[first]);
        if (i > first)
            buf_printf(&b, "%s%llu", i - first > 1 ? " to " : ", ", (unsigned long long)v[i]);
    }
    return buf_take(&b);
}

static void print_doubt(const struct snap *s, const struct prune_result *r)
{
    CLEANUP(str_freep) char *numbers = numbers_text(r->doubted.v, r->doubted.len);
    bool one = r->doubted.len == 1;
    CLEANUP(str_freep)
    char *text = str_printf("What was lost may have been a judge's word that a snapshot before it "
                            "is bad. So snapshot%s "
                            "%s %s suspect until a judge has spoken again.",
                            one ? "" : "s", numbers,
                            s->o->dry_run ? "would be"
                            : one         ? "is"
                                          : "are");
    printf("  ");
    print_wrapped(stdout, text, 2, 2);
    printf("  next: look at them (show, diff), then for each that is as it should be:\n"
           "        regrow snapshot judge SEQ good --key JUDGE\n");
}

// What it was is said as far as anybody can know.
static void print_written_off(const struct snap *s, const struct prune_result *r)
{
    const char *is = s->o->dry_run ? "would be" : "is";
    for (size_t i = 0; i < r->written_off.len; i++) {
        uint64_t seq = r->written_off.v[i];
        bool lost = has_number(r->lost.v, r->lost.len, seq);
        printf("%s %s %llu of %s %s given up: its %s is lost\n", state_symbol(s->c, NODE_READY),
               lost ? "entry" : "snapshot", (unsigned long long)seq, s->chain, is,
               lost ? "file" : "index file");
    }
    if (!r->written_off.len)
        printf("%s nothing is left to be given up: it was done before\n",
               state_symbol(s->c, NODE_READY));
    if (r->doubted.len)
        print_doubt(s, r);
}

static void print_forgotten(const struct snap *s, const struct prune_result *r)
{
    const struct cli *c = s->c;
    bool dry = c->o.snap.dry_run;
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-forget", s);
        json_object_set_new(doc, "dryRun", json_boolean(dry));
        json_object_set_new(doc, "forgotten", numbers_doc(r->dropped.v, r->dropped.len));
        json_object_set_new(doc, "writtenOff", numbers_doc(r->written_off.v, r->written_off.len));
        json_object_set_new(doc, "inDoubt", numbers_doc(r->doubted.v, r->doubted.len));
        json_object_set_new(doc, "waiting", json_integer((json_int_t)r->waiting));
        json_object_set_new(doc, "decisions", decisions_doc(r));
        print_doc(c, doc);
        return;
    }
    if (c->o.snap.write_off.len) {
        print_written_off(s, r);
        return;
    }
    printf("%s %zu of %zu snapshots of %s %sforgotten\n", state_symbol(c, NODE_READY),
           r->dropped.len, r->decisions.v.len, s->chain, dry ? "would be " : "");
    if (!c->o.quiet)
        print_decisions(c, r);
    if (r->dropped.len && !dry)
        print_wrapped(stdout,
                      "Nothing is deleted yet. regrow snapshot forget --undo SEQ brings one back "
                      "until regrow snapshot prune deletes it, which it does after the grace.",
                      0, 0);
}

static bool undo(struct snap *s, const struct numbers *n, struct err *err)
{
    for (size_t i = 0; i < n->v.len; i++)
        if (!repo_forget_undo(&s->repo, s->chain, &s->key, n->v.v[i], err))
            return err_hint(err, "regrow snapshot list shows what is forgotten; what prune deleted "
                                 "does not come back.");
    if (wants_doc(s->c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-forget", s);
        json_object_set_new(doc, "dryRun", json_false());
        json_object_set_new(doc, "broughtBack", numbers_doc(n->v.v, n->v.len));
        print_doc(s->c, doc);
    } else {
        printf("%s %zu snapshot%s of %s brought back\n", state_symbol(s->c, NODE_READY), n->v.len,
               n->v.len == 1 ? "" : "s", s->chain);
    }
    return true;
}

static bool forget(struct snap *s, const struct numbers *n, const struct numbers *lost,
                   struct err *err)
{
    const struct snapshot_options *o = s->o;
    struct keep_rules rules = rules_of(o);
    struct prune_result r CLEANUP(prune_result_clear) = {0};
    struct prune_opts po = {.pruner = &s->key,
                            .rules = has_rules(o) ? &rules : NULL,
                            .drop = n->v.v,
                            .n_drop = n->v.len,
                            .write_off = lost->v.v,
                            .n_write_off = lost->v.len,
                            .dry_run_only = o->dry_run};
    if (!repo_prune(&s->repo, s->chain, &po, &r, err)) {
        if (err->kind == ERR_CONFLICT)
            err_hint(err, "Nothing was forgotten. --dry-run shows what stays, and why.");
        if (err->kind == ERR_CORRUPT)
            err_hint(err, "What snapshots need must be known before any is forgotten. One that is "
                          "lost for good: regrow snapshot forget --write-off SEQ; where a file of "
                          "it is there and damaged, regrow snapshot prune --remove-untrusted SEQ "
                          "before.");
        return false;
    }
    print_forgotten(s, &r);
    return true;
}

static bool check_use(const struct snapshot_options *o, size_t n_args, struct err *err)
{
    bool rules = has_rules(o);
    if (o->undo && (rules || o->write_off.len || o->dry_run || !n_args))
        return err_set(err, ERR_USAGE, "--undo wants the numbers of snapshots, and nothing else");
    if (o->write_off.len && (rules || n_args))
        return err_set(err, ERR_USAGE, "--write-off stands alone");
    if (n_args || rules || o->write_off.len)
        return true;
    err_set(err, ERR_USAGE, "what shall be forgotten? Neither a number nor a rule is given");
    return err_hint(err, "regrow snapshot forget --keep-daily 14 --keep-weekly 8 --dry-run");
}

int cmd_snapshot_forget(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct numbers n CLEANUP(numbers_clear) = {0};
    struct numbers lost CLEANUP(numbers_clear) = {0};
    struct snap_want want = want_pruner(c);
    if (check_use(&c->o.snap, c->o.args.len, err) && parse_numbers(&c->o.args, &n, err) &&
        parse_numbers(&c->o.snap.write_off, &lost, err) &&
        snap_open(c, &c->o.snap, &want, &s, err)) {
        bool ok = c->o.snap.undo ? undo(&s, &n, err) : forget(&s, &n, &lost, err);
        if (!ok)
            snap_explain_fault(&s, err);
    }
    return 0;
}

// ---- prune ----

static void print_pruned(const struct snap *s, const struct prune_result *r)
{
    const struct cli *c = s->c;
    bool dry = c->o.snap.dry_run;
    CLEANUP(str_freep)
    char *next = r->next_sweep_unix_ms ? clock_rfc3339(r->next_sweep_unix_ms / 1000) : NULL;
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-prune", s);
        json_object_set_new(doc, "dryRun", json_boolean(dry));
        json_object_set_new(doc, "deleted", numbers_doc(r->swept.v, r->swept.len));
        json_object_set_new(doc, "files", json_integer((json_int_t)r->deleted_files));
        json_object_set_new(doc, "bytes", json_integer((json_int_t)r->deleted_bytes));
        json_object_set_new(doc, "waiting", json_integer((json_int_t)r->waiting));
        if (next)
            json_object_set_new(doc, "next", json_string(next));
        print_doc(c, doc);
        return;
    }
    CLEANUP(str_freep) char *size = size_text(r->deleted_bytes);
    printf("%s %zu forgotten snapshot%s of %s %s deleted", state_symbol(c, NODE_READY),
           r->swept.len, r->swept.len == 1 ? "" : "s", s->chain, dry ? "would be" : "are");
    if (!dry)
        printf(": %llu files, %s", (unsigned long long)r->deleted_files, size);
    printf("\n");
    CLEANUP(str_freep)
    char *at = r->next_sweep_unix_ms ? snap_time_text(r->next_sweep_unix_ms) : NULL;
    if (r->waiting)
        printf("  %llu wait%s%s\n", (unsigned long long)r->waiting, at ? ", the first until " : "",
               at ? at : "");
}

static bool remove_untrusted(struct snap *s, struct err *err)
{
    struct numbers n CLEANUP(numbers_clear) = {0};
    if (!parse_numbers(&s->o->remove_untrusted, &n, err))
        return false;
    for (size_t i = 0; i < n.v.len; i++)
        if (!repo_remove_untrusted(&s->repo, s->chain, n.v.v[i], err))
            return false;
    if (wants_doc(s->c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-prune", s);
        json_object_set_new(doc, "dryRun", json_false());
        json_object_set_new(doc, "untrusted", numbers_doc(n.v.v, n.v.len));
        print_doc(s->c, doc);
    } else {
        printf("%s %zu file%s that nobody trusted deleted from the log of %s\n",
               state_symbol(s->c, NODE_READY), n.v.len, n.v.len == 1 ? "" : "s", s->chain);
    }
    return true;
}

static bool prune(struct snap *s, struct err *err)
{
    const struct snapshot_options *o = s->o;
    struct store_opts so = snap_store_opts(s->c, o);
    struct prune_result r CLEANUP(prune_result_clear) = {0};
    struct prune_opts po = {.pruner = &s->key,
                            .sweep = true,
                            .dry_run_only = o->dry_run,
                            .exclusive = o->exclusive,
                            .retain_ms = o->retain_ms,
                            .grace_ms = o->grace_ms == TIME_NOT_GIVEN ? 0 : o->grace_ms};
    if (!o->grace_ms) {
        err_set(err, ERR_USAGE, "--grace 0: a restore that is under way would lose what it reads");
        return err_hint(err, "The grace is also how long forget --undo works. When nothing reads "
                             "the repository now, --grace 1s will do.");
    }
    if (!o->dry_run && !repo_probe_again(&s->repo, &so, err))
        return err_hint(err, "Make a new repository and copy this one there.");
    if (!repo_prune(&s->repo, s->chain, &po, &r, err))
        return false;
    print_pruned(s, &r);
    return true;
}

int cmd_snapshot_prune(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct snap_want want = want_pruner(c);
    if (snap_open(c, &c->o.snap, &want, &s, err)) {
        bool ok = c->o.snap.remove_untrusted.len ? remove_untrusted(&s, err) : prune(&s, err);
        if (!ok)
            snap_explain_fault(&s, err);
    }
    return 0;
}
