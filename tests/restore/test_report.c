// SPDX-License-Identifier: Apache-2.0
//
// The report as HTML: what it says, that nothing in it is obeyed, that it stays small.
#include "restore/report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "tests/test.h"

#define MAX_USUAL 600000 // bytes, of a thousand applications
#define MAX_HOSTILE 12000000

static const char small[] =
    "{'version':1,'kind':'restore','chain':'prod','snapshot':{'seq':118,"
    "'taken':'2026-11-23T02:00:00Z'},'cluster':{'context':'new','version':'v1.37.2'},"
    "'began':'2026-11-23T07:00:00Z','rto_ms':12300,'rpo_seconds':18000,'commit_age_seconds':25200,"
    "'phases':[{'name':'verify','from_ms':0,'ms':300},{'name':'confirm','from_ms':300,'ms':9000,"
    "'counted':false},{'name':'apply','from_ms':300,'ms':12000}],"
    "'applications':[{'name':'cert-manager','state':'healthy','objects':44,'from_ms':400,"
    "'ms':4100},{'name':'edge','state':'healthy','objects':3,'from_ms':900,'ms':8000,"
    "'waited_for':'webhook cm','waited_until_ms':4500},{'name':'shop','state':'failed',"
    "'objects':2,'from_ms':1000,'ms':11300,'problem':'Deployment shop/api: no image'},"
    "{'name':'late','state':'blocked','objects':1,'waits_for':'Secret db'}],"
    "'critical_path':[{'node':'Deployment cm/cm','application':'cert-manager','from_ms':400,"
    "'ms':4100}],'missing':[{'kind':'volume','object':'StatefulSet db/pg','application':'db',"
    "'message':'came back empty'}],'awaited':[{'kind':'load-balancer','object':'Service e/t',"
    "'message':''}],'next_steps':[{'text':'from Git again','command':'regrow bootstrap URL'}],"
    "'result':{'exitCode':10,'applications':{'total':4,'healthy':2},"
    "'objects':{'written':49,'rejected':0,'unchanged':1}}}";

static const char drilled[] =
    "{'kind':'drill','chain':'prod','verdict':'bad','compared':31,'cluster':{'context':'plane',"
    "'version':'v1.37.2'},'controlPlane':{'own':true,'notShown':['3 "
    "webhooks']},'findings':[{'kind':'missing-crd',"
    "'object':'Certificate a/b','application':'edge','message':'nothing defines its kind'}],"
    "'differences':[{'object':'Deployment w/a','against':'snapshot','kind':'changed','changes':"
    "[{'pointer':'/spec/replicas','expected':3,'found':2},{'pointer':'/x','expected':'y'}]}],"
    "'history':[{'time':'2026-11-22T02:00:00Z','snapshot':117,'verdict':'drilled','rto_ms':40000,"
    "'rpo_seconds':60,'findings':0},{'time':'2026-11-23T02:00:00Z','snapshot':118,"
    "'verdict':'bad','rto_ms':48000,'rpo_seconds':60,'findings':1}]}";

static const char fleet[] =
    "{'kind':'restore-fleet','began':'2026-11-23T07:00:00Z','ms':14000,'parallel':2,"
    "'clusters':[{'cluster':'east','begun':true,'exitCode':0,'ms':13000,'problem':'x',"
    "'document':{'chain':'prod'}}]}";

static json_t *parse(const char *text)
{
    CLEANUP(str_freep) char *copy = str_dup(text);
    for (char *p = copy; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *v = json_loads(copy, 0, NULL);
    assert_non_null(v);
    return v;
}

static char *html(const json_t *report)
{
    struct buf b = {0};
    struct err err = {0};
    assert_true(report_html(report, &b, &err));
    return buf_take(&b);
}

static void has(const char *page, const char *text)
{
    if (!strstr(page, text))
        fail_msg("\"%s\" is not in it", text);
}

static void has_not(const char *page, const char *text)
{
    if (strstr(page, text))
        fail_msg("\"%s\" is in it", text);
}

// Every element that is opened is closed, in order; attributes are quoted. How many elements.
static size_t well_formed(const char *page)
{
    static const char *const empty[] = {"meta", "!doctype"};
    struct strv open = {0};
    size_t n = 0;
    for (const char *p = strchr(page, '<'); p; p = strchr(p, '<')) {
        const char *end = p + 1;
        bool in_quotes = false;
        for (; *end && (in_quotes || *end != '>'); end++) {
            in_quotes ^= *end == '"';
            assert_true(*end != '<');
        }
        assert_true(*end == '>' && !in_quotes);
        const char *name = p + 1 + (p[1] == '/');
        CLEANUP(str_freep) char *tag = str_ndup(name, strcspn(name, " />\n"));
        bool is_empty = end[-1] == '/';
        for (size_t i = 0; i < ARRAY_LEN(empty); i++)
            is_empty = is_empty || !strcmp(tag, empty[i]);
        if (p[1] == '/') {
            assert_true(open.len > 0);
            assert_string_equal(open.v[open.len - 1], tag);
            free(open.v[--open.len]);
        } else if (!is_empty) {
            strv_push(&open, tag);
        }
        n++;
        p = end;
    }
    assert_int_equal(open.len, 0);
    strv_clear(&open);
    return n;
}

static void test_says(void **state)
{
    (void)state;
    CLEANUP(json_freep) json_t *v = parse(small);
    CLEANUP(str_freep) char *page = html(v);
    static const char *const said[] = {
        "<!doctype html>",
        "default-src 'none'; style-src 'sha256-",
        "<h1>Restore of prod</h1>",
        "✗ Part of it is not as it was",
        "Snapshot 118 of prod, taken 2026-11-23 02:00 UTC, into new (Kubernetes v1.37.2)",
        "<dd>12 s<small>and not all of it was there",
        "<dd>5 h<small>its commit was 7 h old",
        "2 of 4",
        "cert-manager: 4.1 s</title>",
        "edge: 8.0 s, waited for webhook cm until 4.5 s",
        "failed: Deployment shop/api: no image",
        "✗ shop",
        "blocked: Secret db",
        "confirm 9.0 s, not counted",
        "class=\"good held\"",
        "<b>StatefulSet db/pg</b> of <span class=\"soft\">db</span><div>came back empty",
        "an address from the load balancer",
        "<code class=\"run\">regrow bootstrap URL</code>",
        "<summary>The same as a table</summary>",
        "<svg class=\"time wide\" role=\"img\"",
        "<svg class=\"time narrow\" role=\"img\"",
        "prefers-color-scheme: dark",
        "@media print"};
    for (size_t i = 0; i < ARRAY_LEN(said); i++)
        has(page, said[i]);
    assert_true(well_formed(page) > 100);
    has_not(page, "<script");
    has_not(page, " style=");
    has_not(page, "url(");
}

static void test_drill(void **state)
{
    (void)state;
    CLEANUP(json_freep) json_t *v = parse(drilled);
    CLEANUP(str_freep) char *page = html(v);
    static const char *const said[] = {"<h1>Drill of prod</h1>",
                                       "The drill did not pass",
                                       "Snapshot of prod, into a control plane of its own "
                                       "(Kubernetes v1.37.2)",
                                       "<dd>31<small>objects; what differs is below",
                                       "no container runs in its control plane</h2>",
                                       "<li>3 webhooks</li>",
                                       "nothing defines its kind",
                                       "<p class=\"soft\">1 object</p>",
                                       "Deployment w/a changed, against snapshot",
                                       "<td>/spec/replicas</td><td><code>3</code></td>"
                                       "<td><code>2</code></td>",
                                       "<td class=\"soft\">absent</td>",
                                       "RTO of the last 2 drills, at most 48 s",
                                       "<td>2026-11-23 02:00 UTC</td>",
                                       "<td class=\"bad\">bad</td>"};
    for (size_t i = 0; i < ARRAY_LEN(said); i++)
        has(page, said[i]);
    (void)well_formed(page);
    has_not(page, "Where the time went");
    has_not(page, "into plane");
}

// All applications are well, and something that belongs to none did not come back. A name is said
// once.
static void test_drill_failed(void **state)
{
    (void)state;
    CLEANUP(json_freep)
    json_t *v = parse("{'kind':'drill','chain':'prod','verdict':'bad','rto_ms':12300,"
                      "'result':{'applications':{'total':2,'healthy':2}},'findings':["
                      "{'kind':'different','object':'Secret a/b','message':'Secret a/b: gone'},"
                      "{'kind':'different','object':'Secret a/c','message':'Secret a/cd is not'},"
                      "{'kind':'unhealthy','application':'web','message':'web: is late'}]}");
    CLEANUP(str_freep) char *page = html(v);
    has(page, "<dd>12 s<small>until it ended");
    has_not(page, "all of it was there");
    has(page, "<b>Secret a/b</b><div>gone</div>");
    has(page, "<b>Secret a/c</b><div>Secret a/cd is not</div>");
    has(page, "<span class=\"soft\">web</span><div>is late</div>");
    json_object_set_new(v, "verdict", json_string("drilled"));
    CLEANUP(str_freep) char *good = html(v);
    has(good, "<dd>12 s<small>until all of it was there");
}

static void test_error(void **state)
{
    (void)state;
    CLEANUP(json_freep)
    json_t *v =
        parse("{'kind':'restore','error':{'message':'snapshot 7 is damaged','hint':'Another "
              "copy.'},'phases':[{'name':'verify','from_ms':0,'ms':700}]}");
    CLEANUP(str_freep) char *page = html(v);
    has(page, "✗ The restore broke off");
    has(page, "snapshot 7 is damaged");
    has(page, "Another copy.");
    (void)well_formed(page);
}

// Replaces every string of a document, keys apart.
static json_t *with_text(const json_t *v, const char *text)
{
    const char *key;
    json_t *x;
    size_t i;
    if (json_is_string(v))
        return json_stringn_nocheck(text, strlen(text));
    if (json_is_object(v)) {
        json_t *out = json_object();
        json_object_foreach((json_t *)v, key, x) json_object_set_new(
            out, key, strcmp(key, "kind") ? with_text(x, text) : json_incref(x));
        return out;
    }
    if (json_is_array(v)) {
        json_t *out = json_array();
        json_array_foreach((json_t *)v, i, x) json_array_append_new(out, with_text(x, text));
        return out;
    }
    return json_deep_copy(v);
}

static void test_hostile_text(void **state)
{
    (void)state;
    static const char *const texts[] = {"<script>alert(1)</script>",
                                        "\"><img src=x onerror=alert(1)>",
                                        "' onload='x",
                                        "</title>",
                                        "</svg></style><h1>",
                                        "&lt;&#60;",
                                        "a\x1b[31mb\x01\x7f",
                                        "\xff\xfe<\xc0\xbc",
                                        "\xf0\x9f\x92",
                                        "\xe2\x80\xae"
                                        "abc",
                                        "]]>-->",
                                        ""};
    static const char *const sources[] = {small, drilled};
    for (size_t s = 0; s < ARRAY_LEN(sources); s++) {
        CLEANUP(json_freep) json_t *v = parse(sources[s]);
        CLEANUP(json_freep) json_t *none = with_text(v, "");
        CLEANUP(str_freep) char *plain = html(none);
        size_t elements = well_formed(plain);
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
            CLEANUP(json_freep) json_t *evil = with_text(v, texts[i]);
            CLEANUP(str_freep) char *page = html(evil);
            has_not(page, "<script");
            has_not(page, "<img");
            has_not(page, "\x1b");
            has_not(page, "\xff");
            has_not(page, "\xe2\x80\xae");
            // Empty texts leave elements out; hostile ones bring none beyond these.
            assert_true(well_formed(page) <= elements + 160);
        }
    }
}

// Whatever the members are, it neither crashes nor breaks.
static void test_hostile_members(void **state)
{
    (void)state;
    static const char *const values[] = {"null",
                                         "true",
                                         "-1",
                                         "1e300",
                                         "9223372036854775807",
                                         "'x'",
                                         "[]",
                                         "{}",
                                         "[[]]",
                                         "[null,1,'x',{}]",
                                         "[{'name':1,'from_ms':'x','ms':-9,'node':[]}]",
                                         "[{'from_ms':9223372036854775807,"
                                         "'ms':9223372036854775807,'name':'x'}]"};
    static const char *const sources[] = {small, drilled, fleet};
    for (size_t s = 0; s < ARRAY_LEN(sources); s++)
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
            CLEANUP(json_freep) json_t *v = parse(sources[s]);
            CLEANUP(str_freep) char *wrapped = str_printf("{'v':%s}", values[i]);
            CLEANUP(json_freep) json_t *evil = parse(wrapped);
            const char *key;
            json_t *x;
            json_object_foreach(v, key, x)
            {
                CLEANUP(json_freep) json_t *copy = json_deep_copy(v);
                json_object_set(copy, key, json_object_get(evil, "v"));
                CLEANUP(str_freep) char *page = html(copy);
                (void)well_formed(page);
            }
        }
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    CLEANUP(json_freep) json_t *list = json_array();
    assert_false(report_html(list, &b, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
}

static json_t *big(const char *name, const char *message)
{
    CLEANUP(json_freep) json_t *v = parse(small);
    json_t *apps = json_array();
    json_t *missing = json_array();
    for (int i = 0; i < 1000; i++) {
        CLEANUP(str_freep) char *one = str_printf("%s%d", name, i);
        json_array_append_new(apps, json_pack("{s:s, s:s, s:i, s:i, s:s, s:i}", "name", one,
                                              "state", "healthy", "from_ms", 1000 + i, "ms", i,
                                              "waited_for", message, "waited_until_ms", 1500));
        json_array_append_new(missing, json_pack("{s:s, s:s}", "object", one, "message", message));
    }
    json_object_set_new(v, "applications", apps);
    json_object_set_new(v, "missing", missing);
    return TAKE(v);
}

static void test_bounds(void **state)
{
    (void)state;
    CLEANUP(json_freep) json_t *usual = big("tenant-", "webhook x");
    CLEANUP(str_freep) char *page = html(usual);
    assert_true(strlen(page) < MAX_USUAL);
    has(page, "and 940 more applications");
    has(page, "tenant-999: "); // of those that took longest
    has_not(page, "tenant-7: ");
    (void)well_formed(page);
    CLEANUP(str_freep) char *long_text = mem_alloc(100001);
    memset(long_text, '<', 100000);
    CLEANUP(json_freep) json_t *evil = big(long_text, long_text);
    CLEANUP(str_freep) char *evil_page = html(evil);
    assert_true(strlen(evil_page) < MAX_HOSTILE);
    (void)well_formed(evil_page);
}

// One that is back in part, one that came to nothing, one that was not begun.
static json_t *fleet_of(size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:b, s:i, s:i, s:o}", "cluster", "east<1>", "begun",
                                        1, "exitCode", 10, "ms", 13000, "document", parse(small)));
    json_array_append_new(list, json_pack("{s:s, s:b, s:i, s:i, s:s}", "cluster", "west", "begun",
                                          1, "exitCode", 7, "ms", 100, "problem", "no <answer>"));
    json_array_append_new(list, json_pack("{s:s, s:b, s:i, s:i}", "cluster", "north", "begun", 0,
                                          "exitCode", 0, "ms", 0));
    return json_pack("{s:s, s:i, s:s, s:i, s:i, s:o}", "kind", "restore-fleet", "exitCode", 10,
                     "began", "2026-11-23T07:00:00Z", "ms", 14000, "parallel", 2, "clusters", list);
}

static void test_fleet(void **state)
{
    (void)state;
    CLEANUP(json_freep) json_t *v = fleet_of(2);
    CLEANUP(str_freep) char *page = html(v);
    static const char *const said[] = {
        "<h1>Restore of 4 clusters</h1>",
        "✗ 0 of 4 as they should be",
        "In 14 s, at most 2 at a time, begun 2026-11-23 07:00 UTC",
        "<td>east&lt;1&gt;</td><td class=\"bad\">Part of it is not as it was</td>"
        "<td class=\"n\">2 of 4</td><td class=\"n\">13 s</td><td class=\"n\">5 h</td>",
        "<td>west</td><td class=\"bad\">no &lt;answer&gt;</td>",
        "<td>north</td><td class=\"bad\">Not begun</td>",
        "<h1>Cluster east&lt;1&gt;</h1>",
        "<b>StatefulSet db/pg</b>",
        "id=\"time-title\"",
        "id=\"time-2-title\"",
        "id=\"time-narrow-2-title\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(said); i++)
        has(page, said[i]);
    (void)well_formed(page);
    json_object_set_new(v, "clusters", json_array());
    CLEANUP(str_freep) char *none = html(v);
    has(none, "Restore of 0 clusters");
    CLEANUP(json_freep) json_t *many = fleet_of(1500);
    CLEANUP(str_freep) char *big_page = html(many);
    has(big_page, "<p class=\"soft\">and 502 more</p>");
    has(big_page, " more have reports of their own");
    assert_true(strlen(big_page) < MAX_HOSTILE);
    (void)well_formed(big_page);
}

static void test_svg(void **state)
{
    (void)state;
    CLEANUP(json_freep) json_t *v = parse(small);
    CLEANUP(json_freep) json_t *none = json_object();
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    assert_true(report_svg(v, &b, &err));
    assert_true(str_starts(b.p, "<svg class=\"time\" role=\"img\""));
    has(b.p, "prod back from snapshot 118 in 12 s");
    has(b.p, "xmlns=\"http://www.w3.org/2000/svg\"");
    (void)well_formed(b.p);
    assert_false(report_svg(none, &b, &err));
    err_clear(&err);
}

static void test_files(void **state)
{
    (void)state;
    CLEANUP(json_freep) json_t *v = parse(small);
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    struct stat st;
    assert_true(dir_make_temp("report", &dir, &err));
    static const struct {
        const char *name, *begins;
    } files[] = {{"r.html", "<!doctype html>"}, {"r.json", "{"}, {"r.svg", "<svg"}};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP(str_freep) char *path = path_join(dir, files[i].name);
        struct buf b CLEANUP(buf_clear) = {0};
        assert_true(report_write(v, path, &err));
        assert_true(file_read(path, MAX_USUAL, &b, &err));
        assert_true(str_starts(b.p, files[i].begins));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0137, 0);
    }
    assert_true(report_check("report.html", &err));
    CLEANUP(str_freep) char *there = path_join(dir, "new.json");
    assert_true(report_check(there, &err));
    CLEANUP(str_freep) char *nowhere = path_join(dir, "none/new.json");
    CLEANUP(str_freep) char *in_file = path_join(dir, "r.json/new.json");
    const char *const bad[] = {"report.txt", nowhere, in_file};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(report_check(bad[i], &err));
        assert_int_equal(err.kind, ERR_USAGE);
        err_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says),         cmocka_unit_test(test_drill),
        cmocka_unit_test(test_drill_failed), cmocka_unit_test(test_error),
        cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_hostile_members),
        cmocka_unit_test(test_bounds),       cmocka_unit_test(test_svg),
        cmocka_unit_test(test_files),        cmocka_unit_test(test_fleet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
