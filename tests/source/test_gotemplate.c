// SPDX-License-Identifier: Apache-2.0
//
// ApplicationSets with Go templates, by the cases of tests/source/cases/gotemplate
// (tests/gitops/appset_case.h), rendered by the real helm; and what becomes of batches: of those
// that are asked for together, of what is in the cache, without helm.
#include "tests/gitops/appset_case.h"

#include "base/loop.h"
#include "base/proc.h"
#include "source/gotemplate.h"
#include "source/source.h"

struct bench {
    struct loop *loop;
    struct source_opts o;
    struct source_ctx c;
    char *dir;
    const json_t *the_case;
    size_t rounds;
};

static void bench_init(struct bench *b)
{
    struct err err = {0};
    *b = (struct bench){0};
    assert_true(dir_make_temp("regrow-test", &b->dir, &err));
    b->loop = loop_new(NULL);
    b->o.cache_dir = b->dir;
    b->c.loop = b->loop;
    b->c.o = &b->o;
    b->c.templates = gotemplates_new(&b->c);
}

static void bench_clear(struct bench *b)
{
    gotemplates_free(b->c.templates);
    vec_clear(&b->c.waits.v);
    loop_free(b->loop);
    dir_temp_cleanup(&b->dir);
}

static void settle_waits(struct bench *b)
{
    while (!waits_over(&b->c.waits))
        loop_run_once(b->loop, 200);
    vec_clear(&b->c.waits.v);
    b->rounds++;
}

static bool ask(void *ctx, const struct go_batch *batch, json_t **out, size_t *bad, struct err *err)
{
    return gotemplates_render(((struct bench *)ctx)->c.templates, batch, out, bad, err);
}

static bool is_waiting(void *ctx)
{
    return ((struct bench *)ctx)->c.waits.v.len > 0;
}

static bool render(struct bench *b, const struct go_batch *batch, json_t **out, size_t *bad,
                   struct err *err)
{
    bool ok = ask(b, batch, out, bad, err);
    if (ok || !is_waiting(b))
        return ok;
    err_clear(err);
    settle_waits(b);
    return ask(b, batch, out, bad, err);
}

// As the loader does it: a set is expanded until nothing it asks for is missing.
static void prepare(struct bench *b, const json_t *c, const struct appset_io *io)
{
    CLEANUP(json_freep) json_t *doc = appset_case_doc(c);
    for (int tries = 0; tries < 20; tries++) {
        struct appset_result r = {0};
        struct err err = {0};
        if (!appset_expand(doc, io, &r, &err))
            err_clear(&err);
        appset_result_clear(&r);
        if (!is_waiting(b))
            return;
        settle_waits(b);
    }
    fail_msg("it never ends");
}

static bool files_of(void *ctx, const char *url, const char *rev, struct strv *paths,
                     struct err *err)
{
    return appset_git_files((void *)((struct bench *)ctx)->the_case, url, rev, paths, err);
}

static bool read_of(void *ctx, const char *url, const char *rev, const char *path, struct buf *out,
                    struct err *err)
{
    return appset_git_read((void *)((struct bench *)ctx)->the_case, url, rev, path, out, err);
}

static json_t *clusters_of(void *ctx)
{
    return appset_clusters((void *)((struct bench *)ctx)->the_case);
}

static bool no_helm(void)
{
    CLEANUP(str_freep) char *helm = proc_find("helm");
    if (!helm)
        printf("# helm is not on the PATH\n");
    return !helm;
}

static void one(const json_t *c, const char *name)
{
    struct bench b;
    bench_init(&b);
    b.the_case = c;
    struct appset_io io = {.git_files = files_of,
                           .git_read = read_of,
                           .clusters = clusters_of,
                           .go_render = ask,
                           .is_waiting = is_waiting,
                           .ctx = &b};
    prepare(&b, c, &io);
    appset_case(c, name, &io);
    json_int_t rounds = json_dot_int(c, "rounds", -1);
    if (rounds >= 0 && (size_t)rounds != b.rounds)
        fail_msg("%s: helm was asked %zu times, not %lld", name, b.rounds, rounds);
    bench_clear(&b);
}

static void cases(void **s)
{
    (void)s;
    if (no_helm())
        skip();
    cases_each("source/cases/gotemplate", one);
}

// ---- batches ----
static void batch_of(struct go_batch *b, const char *text, const char *set)
{
    strv_push(&b->texts, text);
    b->sets = json_pack("[o]", json_loads(set, 0, NULL));
    vec_push(&b->pairs);
}

static void batch_clear(struct go_batch *b)
{
    strv_clear(&b->texts);
    vec_clear(&b->pairs);
    json_decref(b->sets);
}

// Texts that want to be more than a text; each fails alone, or is no more than it is.
static void beside_one_another(void **s)
{
    (void)s;
    static const struct {
        const char *text, *want, *error;
    } cases[] = {
        {"{{.x}}", "1", NULL},
        {"{{end}}{{define \"regrow.normalize\"}}taken{{end}}{{define \"q\"}}", NULL,
         "unexpected {{end}}"},
        {"{{if .x}}", NULL, "unexpected EOF"},
        {"{{ .x", NULL, "unclosed action"},
        {"{{include \"regrow.normalize\" \"A.\"}}", "a", NULL},
        {"{{.x.y}}", NULL, "<.x.y>: can't evaluate field y in type interface {}"},
        {"{{.Values}}{{.Files}}{{.Capabilities}}{{.Release}}{{.Chart}}",
         "<no value><no value><no value><no value><no value>", NULL},
        {"{{$.Files}}", "<no value>", NULL},
        {"#7 eA==\n---\n# Source: x\n{{\"\\n#8 eA==\\n\"}}",
         "#7 eA==\n---\n# Source: x\n\n#8 eA==\n", NULL},
        {"{{fail \"at <x>: (no) \\n way\"}}", NULL, "way"},
        {"\x7f\xc2\x80 {{.x}} \xef\xbf\xbd", "\x7f\xc2\x80 1 \xef\xbf\xbd", NULL},
        {"{{printf \"%d\" (int64 .x)}}", "1", NULL},
    };
    struct bench b;
    struct go_batch batches[ARRAY_LEN(cases)] = {0};
    if (no_helm())
        skip();
    bench_init(&b);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct err err = {0};
            json_t *out = NULL;
            size_t bad = SIZE_MAX;
            if (!round)
                batch_of(&batches[i], cases[i].text, "{\"x\": 1}");
            bool ok = gotemplates_render(b.c.templates, &batches[i], &out, &bad, &err);
            const char *got = json_string_value(json_array_get(out, 0));
            if (round && cases[i].want && (!ok || strcmp(got, cases[i].want) != 0))
                fail_msg("%s: %s", cases[i].text, ok ? got : err.msg);
            if (round && cases[i].error && (ok || bad != 0 || !strstr(err.msg, cases[i].error)))
                fail_msg("%s: %s", cases[i].text, ok ? got : err.msg);
            if (round && !ok && strstr(err.msg, "templates/"))
                fail_msg("%s: %s", cases[i].text, err.msg);
            json_decref(out);
            err_clear(&err);
        }
        if (!round)
            settle_waits(&b);
    }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        batch_clear(&batches[i]);
    bench_clear(&b);
}

// What is in the cache needs no helm; what is damaged there counts as absent; without helm the
// error says what to do.
static void kept(void **s)
{
    (void)s;
    struct bench b;
    struct go_batch batch = {0};
    struct err err = {0};
    json_t *out = NULL;
    size_t bad = SIZE_MAX;
    if (no_helm())
        skip();
    bench_init(&b);
    batch_of(&batch, "{{.x}}", "{\"x\": [1, 2.5, true, null, \"a\"]}");
    assert_true(render(&b, &batch, &out, &bad, &err));
    assert_string_equal(json_string_value(json_array_get(out, 0)), "[1 2.5 true <nil> a]");
    json_decref(out);
    CLEANUP(str_freep) char *path = str_dup(getenv("PATH"));
    setenv("PATH", "/nowhere", 1);
    gotemplates_renew(b.c.templates);
    assert_true(render(&b, &batch, &out, &bad, &err));
    assert_int_equal(b.rounds, 1);
    json_decref(out);
    gotemplates_renew(b.c.templates);
    b.o.refresh = true; // as if the cache were not there
    assert_false(render(&b, &batch, &out, &bad, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.hint, "helm"));
    err_clear(&err);
    setenv("PATH", path, 1);
    batch_clear(&batch);
    bench_clear(&b);
}

// The whole ends while helm is at work.
static void ends_early(void **s)
{
    (void)s;
    struct bench b;
    struct go_batch batch = {0};
    struct err err = {0};
    json_t *out = NULL;
    size_t bad = SIZE_MAX;
    bench_init(&b);
    batch_of(&batch, "{{range untilStep 0 100000000 1}}{{end}}", "{}");
    assert_false(gotemplates_render(b.c.templates, &batch, &out, &bad, &err));
    loop_run_once(b.loop, 0);
    err_clear(&err);
    batch_clear(&batch);
    bench_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases),
        cmocka_unit_test(beside_one_another),
        cmocka_unit_test(kept),
        cmocka_unit_test(ends_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
