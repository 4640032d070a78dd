// SPDX-License-Identifier: Apache-2.0
#include "source/render.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "source/sealed.h"
#include "source/witness.h"

#define MAX_OUTPUT_BYTES (64U << 20)
#define MAX_CACHED (256U << 20)
#define RENDER_TIMEOUT_MS 120000
#define MAX_DATA_GIB 2       // Go maps what it uses in steps of 64 MiB; large fleets take 500 MiB
#define MAX_ERROR_BYTES 1000 // a schema lists every violation; the first ones say enough

void render_clear(struct render_job *j)
{
    for (size_t i = 0; i < j->docs.len; i++) {
        json_decref(j->docs.v[i].doc);
        free(j->docs.v[i].file);
    }
    vec_clear(&j->docs);
    strv_clear(&j->warnings);
    strv_clear(&j->argv);
    strv_clear(&j->parts);
    asks_clear(&j->asks);
    strv_clear(&j->answers);
    err_clear(&j->err);
    chart_clear(&j->chart);
    free(j->path);
    free(j->revision);
    origin_clear(&j->shown);
    free(j->cache_key);
    free(j->remote);
    free(j->own_chart.list_file);
    free(j->own_chart.list);
    free(j->own_chart.lock_file);
    json_decref(j->merged);
    if (j->work_dir)
        dir_temp_cleanup(&j->work_dir);
}

const struct origin *render_shown(struct render_job *j)
{
    if (!j->shown.revision && j->tree)
        origin_set_revision(&j->shown, j->tree->revision);
    return &j->shown;
}

void render_take(struct render_job *j, struct yaml_docs *docs, const char *file)
{
    for (size_t i = 0; i < docs->docs.len; i++) {
        struct rendered *r = vec_push(&j->docs);
        r->doc = docs->docs.v[i].value;
        r->file = str_dup_or_null(file);
        r->line = docs->docs.v[i].line;
        docs->docs.v[i].value = NULL;
    }
    for (size_t i = 0; i < docs->warnings.len; i++)
        strv_push(&j->warnings, docs->warnings.v[i]);
    yaml_docs_clear(docs);
}

// ---- which tool ----
// What lies in the folder: the last name in the alphabet that says something decides, as at the
// end of Argo CD's walk ("Chart.yaml" comes before "kustomization.yaml").
static const char *detect(struct render_job *j)
{
    static const char *const names[] = {"kustomization.yaml", "kustomization.yml", "Kustomization"};
    struct strv files = {0};
    struct err err = {0};
    const char *tool = "directory";
    if (!tree_is_dir(j->tree, j->path) || !tree_list(j->tree, j->path, false, &files, &err)) {
        err_clear(&err); // reading the folder will say so
        return tool;
    }
    strv_sort(&files);
    for (size_t i = 0; i < files.len; i++) {
        const char *name = path_base(files.v[i]);
        if (str_ends(name, "Chart.yaml"))
            tool = "helm";
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            if (!strcmp(name, names[k]))
                tool = "kustomize";
    }
    strv_clear(&files);
    return tool;
}

static const char *choose_tool(struct render_job *j)
{
    if (j->chart.file && j->chart.is_helm)
        return "helm";
    if (j->src && j->src->kustomize)
        return "kustomize";
    if (j->src && j->src->helm)
        return "helm";
    return j->src && j->src->directory ? "directory" : detect(j);
}

// Overrides, then the tool; once.
static bool settle_source(struct render_job *j, struct err *err)
{
    if (j->tool)
        return true;
    bool ok = override_source(j, err);
    j->tool = ok ? choose_tool(j) : "directory";
    return ok;
}

// ---- output of children ----
// "# Source: chart/templates/x.yaml" stands above a document of helm's.
static void name_sources(struct render_job *j, const struct buf *out)
{
    // One pass: comments and documents both come in order.
    size_t d = 0;
    unsigned line = 1;
    const char *current = NULL;
    for (const char *at = out->p; at && *at && d < j->docs.len; line++) {
        while (d < j->docs.len && j->docs.v[d].line <= line) {
            if (current)
                j->docs.v[d].file = str_ndup(current, strcspn(current, "\r\n"));
            d++;
        }
        if (!strncmp(at, "# Source: ", 10))
            current = at + 10;
        const char *nl = strchr(at, '\n');
        at = nl ? nl + 1 : NULL;
    }
}

static bool parse_output(struct render_job *j, const struct buf *out, struct err *err)
{
    struct yaml_docs docs = {0};
    CLEANUP(str_freep) char *name = str_printf("output of %s", j->tool);
    struct yaml_opts o = {.name = name, .warn_only = true, .max_bytes = MAX_OUTPUT_BYTES};
    if (!yaml_read(out->p ? out->p : "", out->len, &o, &docs, err))
        return false;
    render_take(j, &docs, NULL);
    name_sources(j, out);
    return true;
}

// Files are unpacked into folders that are gone by the time somebody reads of them: paths begin
// where those of the repository do. Returns the new length.
static size_t hide_work_dirs(char *line)
{
    static const char *const ours[] = {"/regrow-render.", "/regrow-artifact.", "/regrow-tree."};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        char *at = line;
        while ((at = strstr(at, ours[i]))) {
            char *from = at;
            char *rest = at + 1 + strcspn(at + 1, "/ '\":");
            while (from > line && !strchr(" '\":=(", from[-1]))
                from--;
            rest += *rest == '/';
            if (i == 0 && str_starts(rest, RENDER_TREE "/"))
                rest += strlen(RENDER_TREE "/");
            at = *from == '/' ? from : rest; // else it is a path inside the repository
            if (at == from)
                memmove(from, rest, strlen(rest) + 1);
        }
    }
    return strlen(line);
}

// kustomize tells a missing file as everything it tried to take it for; NULL when it is not that.
static char *missing_file(const char *text)
{
    static const char before[] = "lstat ";
    static const char after[] = ": no such file or directory";
    const char *at = str_starts(text, "accumulating ") ? strstr(text, before) : NULL;
    const char *end = at ? strstr(at, after) : NULL;
    if (!end)
        return NULL;
    at += strlen(before);
    return str_printf("%.*s does not exist, but a kustomization names it", (int)(end - at), at);
}

static bool is_error_line(const char *s)
{
    return str_starts(s, "Error: ") || str_starts(s, "error: ");
}

// What a child said went wrong, on one line: its "Error:" with all that follows, since a chart's
// own refusals and the violations of a schema stand on the lines after it; without one the first
// line.
char *render_error_text(const char *said)
{
    static const char advice[] = "Use --debug flag";
    struct buf b CLEANUP(buf_clear) = {0};
    bool found = false;
    for (const char *at = said; at && *at && b.len < MAX_ERROR_BYTES;) {
        size_t n = strcspn(at, "\n");
        const char *line = is_error_line(at) ? at + 7 : at;
        size_t blanks = strspn(line, " \t\r");
        if (is_error_line(at) && !found) {
            found = true;
            b.len = 0;
        }
        if (blanks < n && (found || !b.len) && !str_starts(line, advice)) {
            line += blanks;
            buf_str(&b, b.len ? " " : "");
            buf_append(&b, line, (size_t)(at + n - line));
        }
        at += n + (at[n] == '\n');
    }
    if (!b.len)
        return str_dup("it failed without a word");
    CLEANUP(str_freep) char *text = str_ndup(b.p, b.len);
    size_t len = hide_work_dirs(text);
    char *missing = missing_file(text);
    if (missing)
        return missing;
    return str_ndup(text, len < MAX_ERROR_BYTES ? len : MAX_ERROR_BYTES);
}

static void finish(struct render_job *j)
{
    j->is_done = true;
    if (j->work_dir)
        dir_temp_cleanup(&j->work_dir);
    if (err_is_set(&j->err)) {
        err_wrap(&j->err, "%s", j->tool);
        return;
    }
    if (j->cache_key)
        cache_store(j, j->cache_key);
}

static int64_t limit_ms(const struct render_job *j)
{
    return j->ctx->o->render_ms ? j->ctx->o->render_ms : RENDER_TIMEOUT_MS;
}

// What a child that did not get the memory it wanted prints, Go's runtime, is no error of
// anybody's.
static bool is_out_of_memory(const char *said)
{
    return said && (strstr(said, "fatal error: runtime: cannot allocate memory") ||
                    strstr(said, "fatal error: runtime: out of memory") ||
                    strstr(said, "runtime: out of memory: cannot allocate"));
}

static void explain(struct render_job *j, struct err *err)
{
    err_move(&j->err, err);
    if (j->err.kind == ERR_NOT_FOUND)
        err_hint(&j->err, TOOL_HINT("%s"), j->tool);
    if (j->err.kind != ERR_TIMEOUT)
        return;
    CLEANUP(str_freep) char *given = clock_duration_text(limit_ms(j));
    err_clear(&j->err);
    err_set(&j->err, ERR_TIMEOUT, "it did not end within %s", given);
    err_hint(&j->err, "Look for a loop in its templates, or allow more with --render-timeout.");
}

static void on_child(void *ctx, struct proc_result *r, struct err *err)
{
    struct render_job *j = ctx;
    j->child = NULL;
    j->ms = r->ms;
    if (err_is_set(err)) {
        explain(j, err);
    } else if (r->exit_code && is_out_of_memory(r->err_text.p)) {
        err_set(&j->err, ERR_INVALID, "it wants more than %d GiB of memory", MAX_DATA_GIB);
        err_hint(&j->err, "Look for what its templates multiply.");
    } else if (r->exit_code && j->remote) {
        CLEANUP(str_freep) char *shown = url_redacted(j->remote);
        err_set(&j->err, ERR_NOT_FOUND, "base %s is not in the cache, and --offline forbids to ask",
                shown);
        err_hint(&j->err, OFFLINE_HINT);
    } else if (r->exit_code) {
        CLEANUP(str_freep) char *line = render_error_text(r->err_text.p);
        err_set(&j->err, ERR_INVALID, "%s", line);
    } else {
        struct err bad = {0};
        if (!parse_output(j, &r->out, &bad))
            err_move(&j->err, &bad);
    }
    finish(j);
}

void render_env(const char *home, struct strv *out)
{
    static const char *const homes[] = {"HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME",
                                        "HELM_DATA_HOME"};
    // A kustomization may give the helm that it inflates charts with other homes, in the
    // repository: programs there, plugins and helpers of registries, would be run. These go before
    // any home.
    static const char *const fixed[] = {"HELM_PLUGINS", "HELM_REGISTRY_CONFIG",
                                        "HELM_REPOSITORY_CONFIG", "HELM_REPOSITORY_CACHE"};
    const char *path = getenv("PATH");
    strv_push_take(out, str_printf("PATH=%s", path ? path : "/usr/bin:/bin"));
    for (size_t i = 0; i < ARRAY_LEN(homes); i++)
        strv_push_take(out, str_printf("%s=%s", homes[i], home));
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        strv_push_take(out, str_printf("%s=%s/none", fixed[i], home));
    // Kustomize keeps merged values and clones of bases there, and when it is killed leaves them.
    strv_push_take(out, str_printf("TMPDIR=%s", home));
    strv_push(out, "LC_ALL=C");
    strv_push(out, "GIT_TERMINAL_PROMPT=0");
    strv_push(out, "GOMEMLIMIT=1792MiB"); // below the limit it collects rather than ends
    // A remote base is never a repository of this machine.
    strv_push(out, "GIT_ALLOW_PROTOCOL=http:https:ssh:git");
    *vec_push(out) = NULL;
}

// What is named to it, the tree, and the programs that it runs. Keys for bases on the network are
// ssh's own.
static void readable(const struct render_job *j, struct strv *out)
{
    static const char *const programs[] = {"helm", "git", "ssh"}; // may be links to elsewhere
    const char *home = getenv("HOME");
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        CLEANUP(str_freep) char *path = proc_find(programs[i]);
        if (path)
            strv_push(out, path);
    }
    for (size_t i = 0; i < j->argv.len; i++)
        if (j->argv.v[i][0] == '/')
            strv_push(out, j->argv.v[i]);
    if (j->tree && j->tree->export_dir)
        strv_push(out, j->tree->export_dir);
    if (j->network && home && *home == '/')
        strv_push_take(out, path_join(home, ".ssh"));
    *vec_push(out) = NULL;
}

void render_spawn(struct render_job *j)
{
    struct strv env = {0};
    struct strv reads = {0};
    render_env(j->work_dir, &env);
    readable(j, &reads);
    *vec_push(&j->argv) = NULL;
    const struct confine confine = {.reads = (const char *const *)reads.v, .writes = j->work_dir};
    struct proc_opts o = {.argv = (const char *const *)j->argv.v,
                          .env = (const char *const *)env.v,
                          .cwd = j->work_dir,
                          .max_out_bytes = MAX_OUTPUT_BYTES,
                          .timeout_ms = limit_ms(j),
                          .max_data_bytes = (uint64_t)MAX_DATA_GIB << 30,
                          .no_network = !j->network,
                          .confine = &confine};
    j->child = proc_start(j->loop, &o, on_child, j);
    strv_clear(&env);
    strv_clear(&reads);
}

static bool fill_folder(struct render_job *j, struct err *err)
{
    const char *root = NULL;
    CLEANUP(str_freep) char *to = path_join(j->work_dir, RENDER_TREE);
    for (size_t i = 0; i < j->argv.len; i++) {
        char *own = NULL;
        if (!strcmp(j->argv.v[i], RENDER_OWN_CHART)) {
            if (!helm_copy_chart(j, &own, err))
                return false;
            free(j->argv.v[i]);
            j->argv.v[i] = own;
            continue;
        }
        if (strcmp(j->argv.v[i], RENDER_IN_TREE) != 0)
            continue;
        if (!tree_view(j->tree, &j->parts, to, &root, err))
            return false;
        free(j->argv.v[i]);
        j->argv.v[i] = path_join(root, j->path);
    }
    return true;
}

static bool begin_tool(struct render_job *j, struct err *err)
{
    struct sha256_ctx *h = sha256_begin();
    sha256_add_str(h, "regrow-render/3");
    sha256_add_str(h, j->tool);
    sha256_add_str(h, j->path);
    bool ok = dir_make_temp("regrow-render", &j->work_dir, err);
    ok = ok && (!strcmp(j->tool, "helm") ? helm_prepare(j, h, err) : kustomize_prepare(j, h, err));
    struct sha256 sum = sha256_end(h);
    if (!ok)
        return false;
    j->cache_key = hex_encode(sum.b, sizeof(sum.b));
    for (size_t i = 0; j->tree && i < j->parts.len; i++)
        witness_below(j->tree, j->parts.v[i]);
    if (!j->ctx->o->refresh && !j->is_hard && cache_load(j, j->cache_key)) {
        j->is_done = true;
        dir_temp_cleanup(&j->work_dir);
        return true;
    }
    return fill_folder(j, err);
}

bool render_is_directory(struct render_job *j)
{
    struct err err = {0};
    if (!settle_source(j, &err))
        err_move(&j->err, &err); // render_begin ends with it
    return !strcmp(j->tool, "directory");
}

void render_begin(struct render_job *j)
{
    struct err err = {0};
    bool is_directory = render_is_directory(j);
    if (err_is_set(&j->err)) {
        j->is_done = true;
        return;
    }
    bool ok = is_directory ? directory_render(j, &err)
                           : begin_tool(j, &err) || err_wrap(&err, "%s", j->tool);
    j->is_done |= is_directory;
    if (ok)
        return;
    err_move(&j->err, &err);
    j->is_done = true;
    if (j->work_dir)
        dir_temp_cleanup(&j->work_dir);
}

// ---- the cache: a line per document, the hash of all lines at the end ----
char *cache_path(const struct source_ctx *c, const char *key, const char *suffix)
{
    return str_printf("%s/render/%s%s", c->o->cache_dir, key, suffix);
}

static bool has_secret(const json_t *doc)
{
    const json_t *items = json_object_get(doc, "items");
    size_t i;
    json_t *x;
    json_array_foreach(items, i, x)
    {
        if (has_secret(x))
            return true;
    }
    return str_eq(json_dot_str(doc, "kind"), "Secret") &&
           (json_object_size(json_object_get(doc, "data")) ||
            json_object_size(json_object_get(doc, "stringData")));
}

// What holds a Secret's values lies there sealed. It is kept all the same: what a chart makes up
// must stay what it was, from one process to the next.
void cache_store(const struct render_job *j, const char *key)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct err err = {0};
    bool is_secret = false;
    for (size_t i = 0; i < j->docs.len; i++)
        is_secret |= has_secret(j->docs.v[i].doc);
    for (size_t i = 0; i < j->docs.len; i++) {
        buf_printf(&b, "%s\t%u\t", j->docs.v[i].file ? j->docs.v[i].file : "", j->docs.v[i].line);
        canon_write(j->docs.v[i].doc, &b);
        buf_char(&b, '\n');
    }
    struct sha256 sum = sha256_of(b.p, b.len);
    CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
    buf_str(&b, hex);
    CLEANUP(str_freep) char *dir = str_printf("%s/render", j->ctx->o->cache_dir);
    CLEANUP(str_freep) char *path = cache_path(j->ctx, key, "");
    if (is_secret && !sealed_write(b.p, b.len, &sealed))
        return; // rendered again each time
    const struct buf *kept = is_secret ? &sealed : &b;
    if (!dir_make(dir, 0700, &err) || !file_replace(path, kept->p, kept->len, 0600, &err))
        err_clear(&err); // the next run renders again
}

static bool load_line(struct render_job *j, char *line, size_t len)
{
    char *tab = memchr(line, '\t', len);
    char *tab2 = tab ? memchr(tab + 1, '\t', len - (size_t)(tab + 1 - line)) : NULL;
    struct err err = {0};
    json_t *doc = NULL;
    if (!tab2 || !canon_read(tab2 + 1, len - (size_t)(tab2 + 1 - line), &doc, &err)) {
        err_clear(&err);
        return false;
    }
    struct rendered *r = vec_push(&j->docs);
    r->doc = doc;
    r->file = tab > line ? str_ndup(line, (size_t)(tab - line)) : NULL;
    r->line = (unsigned)strtoul(tab + 1, NULL, 10);
    return true;
}

static bool read_cached(const char *path, struct buf *out, struct err *err)
{
    struct buf raw CLEANUP(buf_clear) = {0};
    if (!file_read(path, MAX_CACHED, &raw, err))
        return false;
    if (sealed_is(raw.p, raw.len))
        return sealed_read(raw.p, raw.len, out);
    buf_append(out, raw.p, raw.len);
    return true;
}

bool cache_load(struct render_job *j, const char *key)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *path = cache_path(j->ctx, key, "");
    if (!file_exists(path) || !read_cached(path, &b, &err) || b.len < 66) {
        err_clear(&err);
        return false;
    }
    struct sha256 sum = sha256_of(b.p, b.len - 64);
    CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
    if (memcmp(hex, b.p + b.len - 64, 64) != 0)
        return false;
    for (size_t at = 0; at < b.len - 64;) {
        char *nl = memchr(b.p + at, '\n', b.len - at);
        if (!nl || !load_line(j, b.p + at, (size_t)(nl - b.p) - at))
            return false;
        at = (size_t)(nl - b.p) + 1;
    }
    return true;
}
