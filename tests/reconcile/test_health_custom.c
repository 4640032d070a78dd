// SPDX-License-Identifier: Apache-2.0
//
// A user's own checks: how argocd-cm is read, which script counts, what a script can do and what it
// cannot, and what becomes of one that does not end.
#include "tests/test.h"

#include <signal.h>
#include <time.h>

#include "reconcile/health_int.h"

static struct health_custom *custom_of(const char *data)
{
    struct health_custom *c = NULL;
    struct err err = {0};
    CLEANUP(str_freep) char *text = str_printf("kind: ConfigMap\ndata:\n%s", data);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    if (!health_custom_new(doc, &c, &err))
        fail_msg("%s", err.msg);
    return c;
}

static void expect_in(struct health_custom *c, const char *obj, const char *status,
                      const char *message)
{
    struct health_result h = {0};
    CLEANUP(json_freep) json_t *doc = doc_of(obj);
    health_of(c, doc, &h);
    if (strcmp(health_name(h.status), status) != 0 || strcmp(h.message, message) != 0)
        fail_msg("%s: %s \"%s\"", obj, health_name(h.status), h.message);
    health_result_clear(&h);
}

// ---- reading and looking up ----

static void which_script_counts(void **s)
{
    (void)s;
    CLEANUP(health_custom_freep)
    struct health_custom *c = custom_of(
        "  resource.customizations: |\n"
        "    example.com/Exact:\n"
        "      health.lua: return {status = 'Healthy', message = 'map'}\n"
        "    '*.example.com/*':\n"
        "      health.lua: return {status = 'Healthy', message = 'wild'}\n"
        "    'a.example.com/W*':\n"
        "      health.lua: return {status = 'Healthy', message = 'narrower'}\n"
        "    example.com/Other:\n"
        "      ignoreDifferences: 'jsonPointers: [/x]'\n"
        "  resource.customizations.health.ConfigMap: return {status = 'Healthy', message = "
        "'core'}\n"
        "  resource.customizations.health.example.com_Split: return {status = 'Healthy'}\n"
        "  resource.customizations.health.apps_Deployment: return {status = 'Suspended'}\n"
        "  resource.customizations.actions.apps_Deployment: 'discovery.lua: return {}'\n"
        "  resource.customizations.ignoreDifferences.all: 'jsonPointers: [/x]'\n"
        "  url: https://argocd.example.com\n");
    expect_in(c, "{apiVersion: example.com/v1, kind: Exact}", "Healthy", "map");
    expect_in(c, "{apiVersion: b.example.com/v1, kind: Thing}", "Healthy", "wild");
    expect_in(c, "{apiVersion: a.example.com/v1, kind: Widget}", "Healthy", "narrower");
    expect_in(c, "{apiVersion: example.com/v1, kind: Other}", "", "");
    expect_in(c, "{apiVersion: v1, kind: ConfigMap}", "Healthy", "core");
    expect_in(c, "{apiVersion: example.com/v9, kind: Split}", "Healthy", "");
    expect_in(c, "{apiVersion: apps/v1, kind: Deployment}", "Suspended", "");
    expect_in(c, "{apiVersion: v1, kind: Service}", "Healthy", ""); // built in
    assert_true(health_has_check(c, "", "ConfigMap"));
    assert_false(health_has_check(c, "", "Secret"));
}

static void all_means_kinds_with_a_group(void **s)
{
    (void)s;
    CLEANUP(health_custom_freep)
    struct health_custom *c =
        custom_of("  resource.customizations.health.all: return {status = 'Degraded'}\n"
                  "  resource.customizations.health.batch_Job: ''\n");
    expect_in(c, "{apiVersion: apps/v1, kind: Deployment}", "Degraded", "");
    expect_in(c, "{apiVersion: batch/v1, kind: Job}", "Degraded", ""); // an empty one is none
    expect_in(c, "{apiVersion: v1, kind: Service}", "Healthy", "");
}

static void applications_are_not_left_to_a_script(void **s)
{
    (void)s;
    static const char app[] = "{apiVersion: argoproj.io/v1alpha1, kind: Application}";
    CLEANUP(health_custom_freep)
    struct health_custom *c = custom_of("  resource.customizations.health.argoproj.io_Application: "
                                        "return {status = 'Progressing'}\n");
    expect_in(c, app, "Progressing", "");
    health_custom_skip_applications(c);
    expect_in(c, app, "", "");
}

static void deletion_comes_first(void **s)
{
    (void)s;
    CLEANUP(health_custom_freep)
    struct health_custom *c =
        custom_of("  resource.customizations.health.ConfigMap: return {status = 'Healthy'}\n");
    expect_in(c, "{apiVersion: v1, kind: ConfigMap, metadata: {deletionTimestamp: x}}",
              "Progressing", "Pending deletion");
    expect_in(c,
              "{apiVersion: v1, kind: ConfigMap, metadata: {deletionTimestamp: x, finalizers: "
              "[argocd.argoproj.io/hook-finalizer]}}",
              "Healthy", "");
}

static void what_cannot_be_read(void **s)
{
    (void)s;
    static const char *const bad[] = {
        "  resource.customizations: '['\n",
        "  resource.customizations: '[1]'\n",
        "  resource.customizations: '{a/B: {health.lua: 7}}'\n",
        "  resource.customizations: '{a/B: {health.lua: x, health.lua.useOpenLibs: maybe}}'\n",
        "  resource.customizations.health.a_b_C: return {}\n",
        "  resource.customizations.health.: return {}\n",
        "  resource.customizations.health.a_B: 7\n",
        "  resource.customizations.useOpenLibs.a_B: 'yes'\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct health_custom *c = NULL;
        struct err err = {0};
        CLEANUP(str_freep) char *text = str_printf("kind: ConfigMap\ndata:\n%s", bad[i]);
        CLEANUP(json_freep) json_t *doc = doc_of(text);
        if (health_custom_new(doc, &c, &err))
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_null(c);
        err_clear(&err);
    }
    assert_null(custom_of("  url: x\n"));
    assert_null(custom_of("  resource.customizations: ''\n"));
    assert_null(custom_of("  resource.customizations.useOpenLibs.a_B: 'true'\n"));
}

static void where_it_is_looked_for(void **s)
{
    (void)s;
    static const struct {
        const char *doc;
        bool is_it;
    } all[] = {
        {"{kind: ConfigMap, metadata: {name: argocd-cm, namespace: argocd, labels: "
         "{app.kubernetes.io/part-of: argocd}}}",
         true},
        {"{kind: ConfigMap, metadata: {name: argocd-cm, namespace: argocd}}", false},
        {"{kind: ConfigMap, metadata: {name: argocd-cm, namespace: other, labels: "
         "{app.kubernetes.io/part-of: argocd}}}",
         false},
        {"{kind: Secret, metadata: {name: argocd-cm, namespace: argocd, labels: "
         "{app.kubernetes.io/part-of: argocd}}}",
         false},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        CLEANUP(json_freep) json_t *doc = doc_of(all[i].doc);
        assert_int_equal(health_custom_is_config(doc), all[i].is_it);
    }
}

// ---- one script ----

#define OBJECT                                                                                     \
    "{apiVersion: x/v1, kind: X, metadata: {generation: 3, labels: {a: b}}, spec: {n: null, "      \
    "real: "                                                                                       \
    "1.5, flag: true}, status: {list: [1, null, 3], conditions: [{type: Ready, status: 'True', "   \
    "message: m}]}}"

static struct health_result run_script(const char *lua, bool open_libs)
{
    CLEANUP(json_freep) json_t *obj = doc_of(OBJECT);
    struct health_script script = {.key = (char *)"x/X", .text = (char *)lua};
    struct health_result r = {0};
    script.open_libs = open_libs;
    health_lua_run(&script, obj, &r);
    return r;
}

static void expect_script(const char *lua, bool open_libs, enum health status, const char *message)
{
    struct health_result r = run_script(lua, open_libs);
    if (r.status != status || strcmp(r.message, message) != 0 || r.is_error)
        fail_msg("%s: %s%s \"%s\"", lua, health_name(r.status), r.is_error ? " (error)" : "",
                 r.message);
    health_result_clear(&r);
}

static void expect_failure(const char *lua, bool open_libs, const char *part)
{
    struct health_result r = run_script(lua, open_libs);
    if (r.status != HEALTH_UNKNOWN || !r.is_error || !strstr(r.message, part))
        fail_msg("%s: %s \"%s\"", lua, health_name(r.status), r.message);
    health_result_clear(&r);
}

#define SAY(x) "return {status = 'Healthy', message = tostring(" x ")}"

static void answers(void **s)
{
    (void)s;
    static const char invalid[] = "Lua returned an invalid health status";
    expect_script("return {status = 'Healthy', message = 'fine'}", false, HEALTH_HEALTHY, "fine");
    expect_script("hs = {} hs.status = 'Missing' return hs", false, HEALTH_MISSING, "");
    expect_script("return {Status = 'Degraded', MESSAGE = 'x'}", false, HEALTH_DEGRADED, "x");
    expect_script("return {status = 'healthy'}", false, HEALTH_UNKNOWN, invalid);
    expect_script("return {message = 'no status'}", false, HEALTH_UNKNOWN, invalid);
    expect_script("return {status = ''}", false, HEALTH_UNKNOWN, invalid);
    expect_script("return {}", false, HEALTH_BLANK, "");
    expect_script("return nil", false, HEALTH_BLANK, "");
    expect_script("local x = 1", false, HEALTH_BLANK, "");
    expect_script("return {1, 2}", false, HEALTH_BLANK, "");
    expect_script("return {status = 1}", false, HEALTH_BLANK, "");
    expect_script("return {status = 'Healthy', message = 7}", false, HEALTH_BLANK, "");
    expect_failure("return 'Healthy'", false, "expect table output from Lua script, not string");
    expect_failure("return true", false, "not boolean");
    expect_failure("return {status = 'Healthy'}, 'more'", false, "not string");
    expect_failure("return {status = 'Healthy', f = print}", false, "cannot encode");
    expect_failure("return {status = 'Healthy', 'x'}", false, "cannot encode");
    expect_script("return {status = 'Healthy', message = '\\195'}", false, HEALTH_HEALTHY,
                  "\xef\xbf\xbd");
}

static void what_a_script_sees(void **s)
{
    (void)s;
    expect_script(SAY("obj.metadata.generation"), false, HEALTH_HEALTHY, "3");
    expect_script(SAY("obj.spec.real"), false, HEALTH_HEALTHY, "1.5");
    expect_script(SAY("obj.spec.n"), false, HEALTH_HEALTHY, "nil");
    expect_script(SAY("obj.spec.flag == true"), false, HEALTH_HEALTHY, "true");
    expect_script(SAY("#obj.status.list .. ':' .. obj.status.list[2]"), false, HEALTH_HEALTHY,
                  "2:3");
    expect_script(SAY("obj.status.conditions[1].message"), false, HEALTH_HEALTHY, "m");
    expect_script(SAY("type(actionParams)"), false, HEALTH_HEALTHY, "table");
    // What 5.1 lacks and scripts use.
    expect_script(
        "for i = 1, 3 do if i < 3 then goto next end do " SAY("i") " end ::next:: end return nil",
        false, HEALTH_HEALTHY, "3");
    expect_script(SAY("table.getn({1, 2})"), false, HEALTH_HEALTHY, "2");
    expect_script(SAY("table.concat({'a', 'b'}, ', ')"), false, HEALTH_HEALTHY, "a, b");
    expect_script(SAY("require('os').time{year = 2030, month = 1, day = 2, hour = 0} > 1893000000"),
                  false, HEALTH_HEALTHY, "true");
    expect_script(SAY("require('os').date('!%Y-%m-%d', 0)"), false, HEALTH_HEALTHY, "1970-01-01");
    expect_script(SAY("require('os').date('!*t', 86400).day"), false, HEALTH_HEALTHY, "2");
    expect_script(SAY("string.format('%d of %s', 2, 'x')"), true, HEALTH_HEALTHY, "2 of x");
    expect_script(SAY("('abc'):upper() .. math.floor(2.5) .. os.date('!%Y', 0)"), true,
                  HEALTH_HEALTHY, "ABC21970");
    expect_script("print('unseen') " SAY("1"), false, HEALTH_HEALTHY, "1");
    expect_script("leak = (leak or 0) + 1 " SAY("leak"), false, HEALTH_HEALTHY, "1");
    expect_script("leak = (leak or 0) + 1 " SAY("leak"), false, HEALTH_HEALTHY, "1");
}

static void what_it_cannot_reach(void **s)
{
    (void)s;
    static const char *const always[] = {"io",      "debug",    "ffi",  "jit",    "package",
                                         "dofile",  "loadfile", "load", "module", "newproxy",
                                         "getfenv", "setfenv",  "bit",  "gcinfo", "loadstring"};
    static const char *const closed[] = {"string", "math", "os", "coroutine"};
    for (size_t i = 0; i < ARRAY_LEN(always); i++) {
        CLEANUP(str_freep) char *lua = str_printf(SAY("%s"), always[i]);
        expect_script(lua, false, HEALTH_HEALTHY, "nil");
        expect_script(lua, true, HEALTH_HEALTHY, "nil");
    }
    for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
        CLEANUP(str_freep) char *lua = str_printf(SAY("%s"), closed[i]);
        expect_script(lua, false, HEALTH_HEALTHY, "nil");
    }
    expect_script(SAY("os.execute or os.exit or os.getenv or os.remove"), true, HEALTH_HEALTHY,
                  "nil");
    expect_script(SAY("string.dump"), true, HEALTH_HEALTHY, "nil");
    expect_failure("return ('x'):upper()", false, "<string>:1:");
    expect_failure("return require('io')", true, "module io not found");
    expect_failure("return require('ffi')", true, "module ffi not found");
    expect_failure("\x1bLJ\x02", true, "wrong mode");
    expect_failure("return {status = ", false, "<string>:1:");
    expect_failure("return obj.nothing.there", false, "<string>:1:");
    expect_failure("error({})", false, "the script failed");
}

static void bounds(void **s)
{
    (void)s;
    expect_failure("local t = {} while true do t[#t + 1] = {1, 2, 3, 4} end", false,
                   "not enough memory");
    expect_failure("local s = 'x' while true do s = s .. s end", false, "not enough memory");
    expect_failure("local function f() return f() + 1 end return f()", false, "stack overflow");
    expect_failure("while true do end", false, HEALTH_OUT_OF_TIME);
    expect_failure("while true do pcall(function() while true do end end) end", false,
                   HEALTH_OUT_OF_TIME);
}

// ---- the process ----

static const char endless[] = "  resource.customizations.useOpenLibs.Slow: 'true'\n"
                              "  resource.customizations.health.Slow: return {status = "
                              "string.find(string.rep('a', 40), string.rep('a?', 40) .. "
                              "string.rep('a', 40)) and 'Healthy'}\n"
                              "  resource.customizations.health.Quick: "
                              "return {status = 'Healthy', message = obj.name}\n";

// A pattern that takes for ever is one call into C, which no hook interrupts.
static void a_call_that_does_not_end(void **s)
{
    (void)s;
    CLEANUP(health_custom_freep) struct health_custom *c = custom_of(endless);
    for (int i = 0; i < 3; i++)
        expect_in(c, "{apiVersion: v1, kind: Slow}", "Unknown", HEALTH_OUT_OF_TIME);
    expect_in(c, "{apiVersion: v1, kind: Quick, name: a}", "Healthy", "a");
    expect_in(c, "{apiVersion: v1, kind: Slow}", "Unknown", "the script was out of time too often");
    expect_in(c, "{apiVersion: v1, kind: Quick, name: b}", "Healthy", "b");
}

static void a_process_that_dies(void **s)
{
    (void)s;
    CLEANUP(health_custom_freep) struct health_custom *c = custom_of(endless);
    expect_in(c, "{apiVersion: v1, kind: Quick, name: a}", "Healthy", "a");
    pid_t first = worker_pid(c->worker);
    assert_true(first > 0);
    kill(first, SIGKILL);
    struct timespec pause = {.tv_nsec = 50000000};
    nanosleep(&pause, NULL);
    expect_in(c, "{apiVersion: v1, kind: Quick, name: b}", "Healthy", "b");
    assert_true(worker_pid(c->worker) != first);
}

static void large_objects_pass(void **s)
{
    (void)s;
    CLEANUP(health_custom_freep) struct health_custom *c = custom_of(endless);
    CLEANUP(str_freep) char *big = mem_alloc(1000001);
    memset(big, 'x', 1000000);
    CLEANUP(str_freep) char *doc = str_printf("{kind: Quick, name: a, data: \"%s\"}", big);
    expect_in(c, doc, "Healthy", "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_script_counts),
        cmocka_unit_test(all_means_kinds_with_a_group),
        cmocka_unit_test(applications_are_not_left_to_a_script),
        cmocka_unit_test(deletion_comes_first),
        cmocka_unit_test(what_cannot_be_read),
        cmocka_unit_test(where_it_is_looked_for),
        cmocka_unit_test(answers),
        cmocka_unit_test(what_a_script_sees),
        cmocka_unit_test(what_it_cannot_reach),
        cmocka_unit_test(bounds),
        cmocka_unit_test(a_call_that_does_not_end),
        cmocka_unit_test(a_process_that_dies),
        cmocka_unit_test(large_objects_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
