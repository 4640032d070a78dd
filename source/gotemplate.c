// SPDX-License-Identifier: Apache-2.0
#include "source/gotemplate.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/proc.h"
#include "source/render.h"

#define CHART "regrow"
#define FOLDER CHART "/templates/" // texts are _t0.tpl, _t1.tpl …, drivers o0.yaml …
#define MAX_OUT (64U << 20)
#define MAX_MS 120000
#define MAX_FILE (4U << 20)       // helm takes files up to 5 MiB
#define MAX_RUN_BYTES (32U << 20) // of parameters in one run, unless a batch alone has more
#define MAX_RUN_PAIRS 200000

struct batch {
    struct wanted need;
    struct gotemplates *all;
    char *key;
    struct strv texts, sets; // the sets as JSON
    VEC(struct go_pair) pairs;
    size_t set_bytes;
    json_t *results;
    struct err err;
    size_t bad;    // the pair that failed, or SIZE_MAX
    bool is_alone; // it is not known which of those that were rendered together failed
    size_t first_text, first_pair; // among those of the run
};

// A file of the chart that prints: a pair on each line, after one for the parameters.
struct driver {
    struct batch *of;
    size_t first_pair; // of the batch
};

struct gotemplates {
    struct source_ctx *c;
    VEC(struct batch *) batches;
    VEC(struct batch *) waiting; // to be rendered
    VEC(struct batch *) running;
    VEC(struct driver) drivers;
    struct loop_timer *begin;
    struct proc *child;
    char *dir;
    bool is_freeing;
};

// ---- what the chart has besides ----
// slugify: of a list, "[longest] [at a word's end] name", as the library that Argo CD uses does it.
static const char helpers[] =
    "{{define \"" GO_NORMALIZE "\"}}"
    "{{regexReplaceAll \"[^-a-z0-9.]\" (lower .) \"-\" | trunc 253 | trimAll \"-.\"}}{{end}}\n"
    "{{define \"" GO_SLUGIFY "\"}}"
    "{{if gt (len .) 3}}{{fail \"slugify takes at most three arguments\"}}{{end}}"
    "{{$max := 50}}{{$smart := true}}"
    "{{if gt (len .) 1}}{{$max = index . 0}}{{end}}{{if gt (len .) 2}}{{$smart = index . 1}}{{end}}"
    "{{if not (kindIs \"int\" $max)}}{{fail \"slugify: the length is not an int\"}}{{end}}"
    "{{if not (kindIs \"bool\" $smart)}}{{fail \"slugify: the second argument is not a "
    "bool\"}}{{end}}"
    "{{if lt $max 1}}{{fail \"slugify: a length below 1\"}}{{end}}"
    "{{$s := \"\"}}{{if .}}{{$s = include \"" GO_NORMALIZE "\" (last .)}}{{end}}"
    "{{if not $smart}}{{$s = trunc $max $s}}{{end}}"
    "{{$s = regexReplaceAll \"-+\" (replace \".\" \"-\" $s) \"-\" | trimAll \"-\"}}"
    "{{if gt (len $s) $max}}{{$head := trunc (int (add $max 1)) $s}}"
    "{{if contains \"-\" $head}}{{$s = regexReplaceAll \"-[^-]*$\" $head \"\"}}"
    "{{else}}{{$s = trunc $max $s}}{{end}}{{end}}"
    "{{$s}}{{end}}\n";

// ---- batches ----
static void batch_free(struct batch *b)
{
    wanted_clear(&b->need);
    free(b->key);
    strv_clear(&b->texts);
    strv_clear(&b->sets);
    vec_clear(&b->pairs);
    json_decref(b->results);
    err_clear(&b->err);
    free(b);
}

static void settle(struct batch *b)
{
    strv_clear(&b->texts);
    strv_clear(&b->sets);
    vec_clear(&b->pairs);
    if (b->all->is_freeing)
        return;
    wanted_settle(&b->need, &b->err);
}

static char *cache_file(const struct batch *b)
{
    return cache_path(b->all->c, b->key, ".texts");
}

// A line of JSON, and the hash of it.
static void cache_write(const struct batch *b)
{
    struct err err = {0};
    CLEANUP(str_freep) char *text = json_dumps(b->results, JSON_COMPACT);
    struct sha256 sum = sha256_of(text, strlen(text));
    CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
    CLEANUP(str_freep) char *all = str_printf("%s\n%s", text, hex);
    CLEANUP(str_freep) char *path = cache_file(b);
    CLEANUP(str_freep) char *dir = str_ndup(path, (size_t)(strrchr(path, '/') - path));
    if (!dir_make(dir, 0700, &err) || !file_replace(path, all, strlen(all), 0600, &err))
        err_clear(&err); // the next run renders again
}

static bool cache_read(struct batch *b)
{
    struct buf text CLEANUP(buf_clear) = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *path = cache_file(b);
    if (b->all->c->o->refresh || !file_exists(path) || !file_read(path, MAX_OUT, &text, &err) ||
        text.len < 65) {
        err_clear(&err);
        return false;
    }
    size_t len = text.len - 65;
    struct sha256 sum = sha256_of(text.p, len);
    CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
    if (strcmp(text.p + len + 1, hex) != 0)
        return false;
    b->results = json_loadb(text.p, len, 0, NULL);
    return json_array_size(b->results) == b->pairs.len;
}

static void start(struct wanted *n)
{
    struct batch *b = (struct batch *)n; // its first member
    struct gotemplates *g = b->all;
    if (cache_read(b)) {
        settle(b);
        return;
    }
    json_decref(b->results);
    b->results = NULL;
    *vec_push(&g->waiting) = b;
    // What else is asked for in this round goes with it.
    if (!g->child)
        loop_timer_set(g->begin, 0);
}

static char *tell(const struct wanted *n)
{
    (void)n;
    return str_dup("helm, which renders the templates of an ApplicationSet");
}

static char *key_of(const struct go_batch *b, const struct strv *sets)
{
    struct sha256_ctx *h = sha256_begin();
    sha256_add_str(h, "regrow-gotemplate/1");
    sha256_add_str(h, helpers);
    for (size_t i = 0; i < b->texts.len; i++)
        sha256_add_str(h, b->texts.v[i]);
    sha256_add_str(h, "");
    for (size_t i = 0; i < sets->len; i++)
        sha256_add_str(h, sets->v[i]);
    sha256_add_str(h, "");
    for (size_t i = 0; i < b->pairs.len; i++) {
        CLEANUP(str_freep) char *p = str_printf("%u %u", b->pairs.v[i].text, b->pairs.v[i].set);
        sha256_add_str(h, p);
    }
    struct sha256 sum = sha256_end(h);
    return hex_encode(sum.b, sizeof(sum.b));
}

static struct batch *find(const struct gotemplates *g, const char *key)
{
    for (size_t i = 0; i < g->batches.len; i++)
        if (!strcmp(g->batches.v[i]->key, key))
            return g->batches.v[i];
    return NULL;
}

static struct batch *batch_new(struct gotemplates *g, const struct go_batch *from,
                               struct strv *sets_take, const char *key)
{
    struct batch *b = mem_alloc(sizeof(*b));
    b->all = g;
    b->key = str_dup(key);
    b->bad = SIZE_MAX;
    b->need.start = start;
    b->need.tell = tell;
    b->sets = *sets_take;
    *sets_take = (struct strv){0};
    for (size_t i = 0; i < b->sets.len; i++)
        b->set_bytes += strlen(b->sets.v[i]);
    for (size_t i = 0; i < from->texts.len; i++)
        strv_push(&b->texts, from->texts.v[i]);
    for (size_t i = 0; i < from->pairs.len; i++)
        *vec_push(&b->pairs) = from->pairs.v[i];
    return *vec_push(&g->batches) = b;
}

static bool dump_sets(const json_t *sets, struct strv *out, struct err *err)
{
    size_t i;
    json_t *set;
    json_array_foreach(sets, i, set)
    {
        char *text = json_dumps(set, JSON_COMPACT | JSON_SORT_KEYS);
        strv_push_take(out, text);
        if (strlen(text) > MAX_FILE / 2)
            return err_set(err, ERR_INVALID, "a parameter set of more than 2 MiB");
    }
    return true;
}

bool gotemplates_render(struct gotemplates *g, const struct go_batch *from, json_t **out,
                        size_t *bad, struct err *err)
{
    struct strv sets = {0};
    bool ok = dump_sets(from->sets, &sets, err);
    CLEANUP(str_freep) char *key = ok ? key_of(from, &sets) : NULL;
    struct batch *b = ok ? find(g, key) : NULL;
    if (ok && !b)
        b = batch_new(g, from, &sets, key);
    strv_clear(&sets);
    if (!ok || !wanted_wait(&b->need, &g->c->waits, err)) {
        if (b && b->bad != SIZE_MAX)
            *bad = b->bad;
        return false;
    }
    *out = json_incref(b->results);
    return true;
}

// ---- the chart ----
static bool put(const struct gotemplates *g, const char *name, const char *p, size_t len,
                struct err *err)
{
    CLEANUP(str_freep) char *path = path_join(g->dir, name);
    return file_put(path, p, len, 0600, err);
}

struct writer {
    struct gotemplates *g;
    struct buf lines, sets;
    size_t n_sets;
    long set; // of the batch, the last that was written; -1: none
};

static void begin_driver(struct writer *w, struct batch *b, size_t first_pair)
{
    struct driver *d = vec_push(&w->g->drivers);
    d->of = b;
    d->first_pair = first_pair;
    w->n_sets = 0;
    w->set = -1;
    buf_reset(&w->lines);
    buf_reset(&w->sets);
    buf_printf(&w->lines, "{{$s := fromJsonArray (.Files.Get \"s%zu.json\")}}\n",
               w->g->drivers.len - 1);
    buf_char(&w->sets, '[');
}

static bool end_driver(struct writer *w, struct err *err)
{
    size_t n = w->g->drivers.len - 1;
    CLEANUP(str_freep) char *lines = str_printf("templates/o%zu.yaml", n);
    CLEANUP(str_freep) char *sets = str_printf("s%zu.json", n);
    buf_char(&w->sets, ']');
    return put(w->g, lines, w->lines.p, w->lines.len, err) &&
           put(w->g, sets, w->sets.p, w->sets.len, err);
}

// In Base64, behind a '#': helm reads what is printed as YAML.
static bool write_pairs(struct writer *w, struct batch *b, struct err *err)
{
    begin_driver(w, b, 0);
    for (size_t i = 0; i < b->pairs.len; i++) {
        const struct go_pair *p = &b->pairs.v[i];
        const char *set = b->sets.v[p->set];
        if ((long)p->set != w->set && w->n_sets &&
            w->sets.len + strlen(set) + w->lines.len > MAX_FILE / 2) {
            if (!end_driver(w, err))
                return false;
            begin_driver(w, b, i);
        }
        if ((long)p->set != w->set) {
            buf_printf(&w->sets, "%s%s", w->n_sets ? "," : "", set);
            w->set = (long)p->set;
            w->n_sets++;
        }
        buf_printf(&w->lines,
                   "#%zu {{include \"" FOLDER "_t%zu.tpl\" (index $s %zu)|toJson|b64enc}}\n",
                   b->first_pair + i, b->first_text + p->text, w->n_sets - 1);
    }
    return end_driver(w, err);
}

static bool write_batch(struct writer *w, struct batch *b, struct err *err)
{
    for (size_t i = 0; i < b->texts.len; i++) {
        CLEANUP(str_freep) char *name = str_printf("templates/_t%zu.tpl", b->first_text + i);
        if (!put(w->g, name, b->texts.v[i], strlen(b->texts.v[i]), err))
            return false;
    }
    return write_pairs(w, b, err);
}

static bool write_chart(struct gotemplates *g, struct err *err)
{
    static const char chart[] = "apiVersion: v2\nname: " CHART "\nversion: 0.0.0\n";
    struct writer w = {.g = g};
    size_t texts = 0;
    size_t pairs = 0;
    if (!dir_make_temp("regrow-gotemplate", &g->dir, err))
        return false;
    CLEANUP(str_freep) char *templates = path_join(g->dir, "templates");
    bool ok = dir_make(templates, 0700, err) && put(g, "Chart.yaml", chart, strlen(chart), err) &&
              put(g, "templates/_regrow.tpl", helpers, strlen(helpers), err);
    g->drivers.len = 0;
    for (size_t i = 0; ok && i < g->running.len; i++) {
        struct batch *b = g->running.v[i];
        b->first_text = texts;
        b->first_pair = pairs;
        texts += b->texts.len;
        pairs += b->pairs.len;
        ok = write_batch(&w, b, err);
    }
    buf_clear(&w.lines);
    buf_clear(&w.sets);
    return ok;
}

// ---- what came ----
static bool read_line(struct gotemplates *g, const char *line, size_t len)
{
    char *end = NULL;
    size_t n = strtoul(line, &end, 10);
    struct buf text CLEANUP(buf_clear) = {0};
    if (*end != ' ' || !base64_decode(end + 1, len - (size_t)(end + 1 - line), &text) || !text.len)
        return false;
    for (size_t i = 0; i < g->running.len; i++) {
        struct batch *b = g->running.v[i];
        if (n < b->first_pair || n >= b->first_pair + b->pairs.len)
            continue;
        json_t *s = json_loadb(text.p, text.len, JSON_DECODE_ANY, NULL);
        return json_is_string(s) && !json_array_set_new(b->results, n - b->first_pair,
                                                        s); // takes it, also when it fails
    }
    return false;
}

// A line for each pair, in whatever order.
static bool read_output(struct gotemplates *g, const struct buf *out, struct err *err)
{
    size_t lines = 0;
    size_t pairs = 0;
    for (size_t i = 0; i < g->running.len; i++) {
        struct batch *b = g->running.v[i];
        b->results = json_array();
        pairs += b->pairs.len;
        for (size_t k = 0; k < b->pairs.len; k++)
            json_array_append_new(b->results, json_null());
    }
    for (const char *at = out->p; at && *at;) {
        size_t len = strcspn(at, "\n");
        bool is_pair = at[0] == '#' && at[1] >= '0' && at[1] <= '9';
        if (is_pair && !read_line(g, at + 1, len - 1))
            return err_set(err, ERR_INVALID, "helm printed something else than text");
        lines += is_pair;
        at += len + (at[len] == '\n');
    }
    for (size_t i = 0; i < g->running.len; i++) {
        size_t k;
        json_t *s;
        json_array_foreach(g->running.v[i]->results, k, s)
        {
            pairs -= json_is_string(s);
        }
    }
    return !pairs || err_set(err, ERR_INVALID, "helm did not print all of it (%zu lines)", lines);
}

static void succeed(struct gotemplates *g)
{
    while (g->running.len) {
        struct batch *b = g->running.v[--g->running.len];
        cache_write(b);
        settle(b);
    }
}

// ---- what went wrong ----
// The last of the places it went through says what is wrong there; what "fail" is called with comes
// alone.
static const char *last_part(const char *text)
{
    static const char *const alone[] = {"parse error at (", "execution error at ("};
    const char *last = text;
    for (size_t i = 0; i < ARRAY_LEN(alone); i++) {
        const char *end = str_starts(text, alone[i]) ? strstr(text, "): ") : NULL;
        if (end)
            return end + 3;
    }
    for (const char *at = text; (at = strstr(at, " at <")); at++)
        last = at + 1;
    return last;
}

// The first place that is named is helm's own word; what follows may be a template's.
static void find_place(const char *said, struct go_place *at)
{
    char *end = NULL;
    const char *name = said ? strstr(said, FOLDER) : NULL;
    *at = (struct go_place){-1, -1, -1};
    if (!name)
        return;
    name += strlen(FOLDER);
    if (str_starts(name, "_t") && isdigit((unsigned char)name[2])) {
        at->text = strtol(name + 2, NULL, 10);
    } else if (*name == 'o' && isdigit((unsigned char)name[1])) {
        at->driver = strtol(name + 1, &end, 10);
        at->line = str_starts(end, ".yaml:") ? strtol(end + 6, NULL, 10) : -1;
    }
}

char *gotemplate_error(const char *said, struct go_place *at)
{
    CLEANUP(str_freep) char *text = render_error_text(said);
    find_place(said, at);
    return str_dup(last_part(text));
}

static struct batch *batch_of_text(const struct gotemplates *g, long text, size_t *pair)
{
    for (size_t i = 0; text >= 0 && i < g->running.len; i++) {
        struct batch *b = g->running.v[i];
        size_t own = (size_t)text - b->first_text;
        if ((size_t)text < b->first_text || own >= b->texts.len)
            continue;
        for (size_t k = 0; *pair == SIZE_MAX && k < b->pairs.len; k++)
            if (b->pairs.v[k].text == own)
                *pair = k;
        return b;
    }
    return NULL;
}

// The batch, and where it says so the pair, that it is about; NULL: nobody knows.
static struct batch *blamed(const struct gotemplates *g, const struct go_place *at, size_t *pair)
{
    *pair = SIZE_MAX;
    if (at->driver >= 0 && (size_t)at->driver < g->drivers.len) {
        const struct driver *d = &g->drivers.v[at->driver];
        size_t k = d->first_pair + (size_t)at->line - 2;
        if (at->line >= 2 && k < d->of->pairs.len)
            *pair = k;
        return d->of;
    }
    struct batch *b = batch_of_text(g, at->text, pair);
    return b || g->running.len > 1 ? b : g->running.v[0];
}

// What is to blame fails, the others are rendered without it; if nobody knows, each alone.
static void fail_run(struct gotemplates *g, const struct go_place *at, struct err *err)
{
    size_t pair;
    struct batch *b = blamed(g, at, &pair);
    for (size_t i = 0; i < g->running.len; i++) {
        struct batch *x = g->running.v[i];
        json_decref(x->results);
        x->results = NULL;
        x->is_alone |= !b;
        if (x != b)
            *vec_push(&g->waiting) = x;
    }
    g->running.len = 0;
    if (b) {
        b->bad = pair;
        err_move(&b->err, err);
        settle(b);
    }
    err_clear(err);
}

// Without helm there is nobody to blame, and no use in trying again.
static void fail_all(struct gotemplates *g, const struct err *err)
{
    while (g->waiting.len)
        *vec_push(&g->running) = g->waiting.v[--g->waiting.len];
    while (g->running.len) {
        struct batch *b = g->running.v[--g->running.len];
        err_copy(&b->err, err);
        settle(b);
    }
}

static void on_child(void *ctx, struct proc_result *r, struct err *failed)
{
    struct gotemplates *g = ctx;
    struct go_place at = {-1, -1, -1};
    struct err err = {0};
    g->child = NULL;
    dir_temp_cleanup(&g->dir);
    if (err_is_set(failed)) {
        err_move(&err, failed);
        if (err.kind == ERR_NOT_FOUND)
            err_hint(&err, "%s", TOOL_HINT("helm, which renders Go templates,"));
    } else if (r->exit_code) {
        CLEANUP(str_freep) char *text = gotemplate_error(r->err_text.p, &at);
        err_set(&err, ERR_INVALID, "%s", text);
    } else if (!g->is_freeing && read_output(g, &r->out, &err)) {
        succeed(g);
    }
    if (err.kind == ERR_NOT_FOUND && err_is_set(&err))
        fail_all(g, &err);
    else if (err_is_set(&err))
        fail_run(g, &at, &err);
    err_clear(&err);
    if (g->waiting.len && !g->is_freeing)
        loop_timer_set(g->begin, 0);
}

// ---- running ----
// As many of those that wait as one run takes.
static void take_waiting(struct gotemplates *g)
{
    size_t kept = 0;
    size_t bytes = 0;
    size_t pairs = 0;
    bool is_full = false;
    for (size_t i = 0; i < g->waiting.len; i++) {
        struct batch *b = g->waiting.v[i];
        is_full |= g->running.len && (b->is_alone || bytes + b->set_bytes > MAX_RUN_BYTES ||
                                      pairs + b->pairs.len > MAX_RUN_PAIRS);
        if (is_full) {
            g->waiting.v[kept++] = b;
            continue;
        }
        bytes += b->set_bytes;
        pairs += b->pairs.len;
        *vec_push(&g->running) = b;
        is_full = b->is_alone;
    }
    g->waiting.len = kept;
}

static void begin(void *ctx)
{
    struct gotemplates *g = ctx;
    struct go_place nowhere = {-1, -1, -1};
    struct err err = {0};
    if (g->child || !g->waiting.len)
        return;
    take_waiting(g);
    if (!write_chart(g, &err)) {
        dir_temp_cleanup(&g->dir);
        fail_run(g, &nowhere, &err);
        loop_timer_set(g->begin, 0);
        return;
    }
    const char *argv[] = {"helm", "template", "--", CHART, g->dir, NULL};
    struct strv env = {0};
    render_env(g->dir, &env);
    const struct confine confine = {.writes = g->dir};
    struct proc_opts o = {.argv = argv,
                          .env = (const char *const *)env.v,
                          .cwd = g->dir,
                          .max_out_bytes = MAX_OUT,
                          .timeout_ms = MAX_MS,
                          .max_data_bytes = 4ULL << 30,
                          .no_network = true,
                          .confine = &confine};
    g->child = proc_start(g->c->loop, &o, on_child, g);
    strv_clear(&env);
}

struct gotemplates *gotemplates_new(struct source_ctx *c)
{
    struct gotemplates *g = mem_alloc(sizeof(*g));
    g->c = c;
    g->begin = loop_timer_new(c->loop, begin, g);
    return g;
}

void gotemplates_renew(struct gotemplates *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->batches.len; i++) {
        struct batch *b = g->batches.v[i];
        if (wanted_is_open(&b->need))
            g->batches.v[kept++] = b;
        else
            batch_free(b);
    }
    g->batches.len = kept;
}

void gotemplates_free(struct gotemplates *g)
{
    if (!g)
        return;
    g->is_freeing = true;
    loop_timer_free(g->begin);
    if (g->child)
        proc_cancel(g->child);
    while (g->child)
        loop_run_once(g->c->loop, 100);
    for (size_t i = 0; i < g->batches.len; i++)
        batch_free(g->batches.v[i]);
    vec_clear(&g->batches);
    vec_clear(&g->waiting);
    vec_clear(&g->running);
    vec_clear(&g->drivers);
    free(g);
}
