// SPDX-License-Identifier: Apache-2.0
//
// Every file of tests/reconcile/cases/health: documents {status, message, object}. A kind is added
// with a row of the table and a file of cases; here every clause of every row must have given an
// answer once, and every row that is code must have been asked.
#include "tests/test.h"

#include <glob.h>

#include "base/file.h"
#include "reconcile/health_int.h"

#define MAX_ROWS 1024
#define MAX_CLAUSES 32

struct coverage {
    size_t cases;
    bool clauses[MAX_ROWS][MAX_CLAUSES];
    bool rows[MAX_ROWS];
};

static size_t row_index(const struct health_rule *rule)
{
    size_t i = 0;
    while (health_rule_at(i) != rule)
        i++;
    return i;
}

static void note(struct coverage *c, const json_t *obj)
{
    struct health_result h = {0};
    const char *av = health_str(obj, "apiVersion");
    const char *slash = strrchr(av, '/');
    CLEANUP(str_freep) char *group = slash ? str_ndup(av, (size_t)(slash - av)) : str_dup("");
    const struct health_rule *rule = health_rule_find(group, health_str(obj, "kind"));
    if (!rule)
        fail_msg("%s %s has no rule", av, health_str(obj, "kind"));
    const struct health_clause *clause = health_rule_trace(rule, obj, &h);
    size_t row = row_index(rule);
    if (clause)
        c->clauses[row][clause - rule->clauses] = true;
    else
        c->rows[row] = true;
    health_result_clear(&h);
}

static size_t check_one(struct coverage *c, const char *path, const struct yaml_doc *d)
{
    const json_t *obj = json_object_get(d->value, "object");
    const char *status = health_str(d->value, "status");
    const char *message = health_str(d->value, "message");
    struct health_result h = {0};
    health_of(NULL, obj, &h);
    bool ok = !strcmp(health_name(h.status), status) && !strcmp(h.message, message);
    if (!ok)
        print_error("%s:%u: %s \"%s\", not %s \"%s\"\n", path, d->line, health_name(h.status),
                    h.message, status, message);
    health_result_clear(&h);
    note(c, obj);
    c->cases++;
    return !ok;
}

static size_t check_file(struct coverage *c, const char *path)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = path};
    size_t wrong = 0;
    if (!file_read(path, 1 << 20, &b, &err) || !yaml_read(b.p, b.len, &o, &docs, &err))
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < docs.docs.len; i++)
        wrong += check_one(c, path, &docs.docs.v[i]);
    yaml_docs_clear(&docs);
    return wrong;
}

static size_t missed(const struct coverage *c)
{
    size_t n = 0;
    const struct health_rule *r;
    for (size_t i = 0; (r = health_rule_at(i)); i++) {
        assert_true(i < MAX_ROWS);
        bool any = c->rows[i];
        for (size_t k = 0; r->clauses[k].op != CLAUSE_END; k++) {
            assert_true(k < MAX_CLAUSES);
            any = true;
            if (c->clauses[i][k])
                continue;
            n++;
            print_error("no case for %s %s: clause %zu, \"%s\"\n", r->group, r->kinds, k + 1,
                        r->clauses[k].when);
        }
        if (!any || (r->fn && !c->rows[i])) {
            n++;
            print_error("no case for the code of %s %s\n", r->group, r->kinds);
        }
    }
    return n;
}

static void every_case(void **s)
{
    (void)s;
    static struct coverage c;
    glob_t g;
    size_t wrong = 0;
    assert_int_equal(glob("tests/reconcile/cases/health/*.yaml", 0, NULL, &g), 0);
    for (size_t i = 0; i < g.gl_pathc; i++)
        wrong += check_file(&c, g.gl_pathv[i]);
    globfree(&g);
    assert_int_equal(wrong, 0);
    assert_int_equal(missed(&c), 0);
    assert_true(c.cases > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
