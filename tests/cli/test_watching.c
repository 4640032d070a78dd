// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "cli/frame.h"
#include "cli/status.h"

static int use_utf8(void **state)
{
    (void)state;
    return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

static void add(struct status *st, const char *name, const char *health, const char *sync,
                size_t ready, size_t total, const char *chain)
{
    st->apps = mem_realloc(st->apps, st->n + 1, sizeof(*st->apps));
    struct app_status *a = &st->apps[st->n++];
    *a = (struct app_status){.name = str_dup(name),
                             .key = str_dup(name),
                             .health = health,
                             .sync = sync,
                             .ready = ready,
                             .total = total,
                             .is_shown = true,
                             .is_known = true,
                             .is_healthy = !strcmp(health, "Healthy"),
                             .is_synced = !strcmp(sync, "Synced"),
                             .waits_for = str_dup(""),
                             .chain = str_dup(chain)};
    a->is_good = a->is_healthy && a->is_synced;
    a->is_bad = !strcmp(health, "Degraded");
    a->missing = a->is_synced ? 0 : total - ready;
    st->n_shown++;
    st->n_good += a->is_good;
    st->n_healthy += a->is_healthy;
    st->n_synced += a->is_synced;
}

static void make(struct status *st)
{
    *st = (struct status){.root = str_dup("platform @ 3f9c2e1 (main)"), .then = THEN_REGROW};
    add(st, "cert-manager", "Healthy", "Synced", 44, 44, "");
    add(st, "traefik", "Progressing", "OutOfSync", 31, 38, "Deployment traefik/traefik: 0/2 ready");
    add(st, "secret-store-of-the-whole-platform-team", "Degraded", "Synced", 0, 1,
        "ClusterSecretStore vault: InvalidProviderConfig: permission denied at auth/kubernetes");
}

// The lines of a frame as a person sees them; owned.
static char *drawn(const struct status *st, int rows, int cols)
{
    const struct cli c = {0};
    struct frame *f = mem_alloc(sizeof(*f));
    struct buf b = {0};
    status_draw(&c, f, st, "watching prod, changed 3 s ago; Ctrl-C ends it", rows, cols);
    for (const char *s = f->text.p; *s; s++) {
        if (*s != '\033') {
            buf_char(&b, *s);
            continue;
        }
        while (*s < 'A' || *s == '[') // the final letter of a sequence
            s++;
    }
    for (int i = 0; i < f->drawn; i++)
        assert_true(f->widths[i] < cols);
    assert_true(f->drawn < rows);
    frame_clear(f);
    free(f);
    return buf_take(&b);
}

static void wide(void **state)
{
    (void)state;
    struct status st;
    make(&st);
    CLEANUP(str_freep) char *text = drawn(&st, 24, 80);
    assert_string_equal(
        text, "✗ 1 of 3 applications healthy, 2 in sync with platform @ 3f9c2e1 (main)\n"
              "  ✓ cert-manager                  44/44  Healthy      Synced\n"
              "  … traefik                       31/38  Progressing  OutOfSync: 7 missing\n"
              "  ✗ secret-store-of-the-whole-p…    0/1  Degraded     Synced\n"
              "  · traefik: waits for Deployment traefik/traefik: 0/2 ready\n"
              "  · secret-store-of-the-whole-platform-team: waits for ClusterSecretStore vaul…\n"
              "watching prod, changed 3 s ago; Ctrl-C ends it\n");
    status_clear(&st);
}

static void narrow(void **state)
{
    (void)state;
    struct status st;
    make(&st);
    CLEANUP(str_freep) char *text = drawn(&st, 24, 40);
    assert_string_equal(text, "✗ 1 of 3 applications healthy, 2 in\n"
                              "  sync with platform @ 3f9c2e1 (main)\n"
                              "  ✓ cert-manager    44/44  Healthy\n"
                              "  … traefik         31/38  Progressing\n"
                              "  ✗ secret-store-…    0/1  Degraded\n"
                              "  · traefik: waits for Deployment trae…\n"
                              "  · secret-store-of-the-whole-platform…\n"
                              "watching prod, changed 3 s ago; Ctrl-C…\n");
    status_clear(&st);
}

// Of more than there is room for the bad ones stay, and the others are counted.
static void crowded(void **state)
{
    (void)state;
    struct status st;
    make(&st);
    for (int i = 0; i < 200; i++) {
        CLEANUP(str_freep) char *name = str_printf("tenant-%03d", i);
        add(&st, name, "Healthy", "Synced", 3, 3, "");
    }
    add(&st, "the-last", "Degraded", "Synced", 0, 1, "");
    CLEANUP(str_freep) char *text = drawn(&st, 12, 80);
    assert_non_null(strstr(text, "traefik"));
    assert_non_null(strstr(text, "the-last"));
    assert_non_null(strstr(text, " more, healthy and in sync\n"));
    CLEANUP(str_freep) char *least = drawn(&st, 6, 80);
    assert_non_null(strstr(least, "not as they should be"));
    status_clear(&st);
}

struct heard {
    struct strv types;
    json_t *last;
};

static void on_event(void *ctx, const json_t *e)
{
    struct heard *h = ctx;
    strv_push(&h->types, json_dot_text(e, "type"));
    json_decref(h->last);
    h->last = json_deep_copy(e);
}

// An event for what is another than it was told, and for nothing else.
static void told(void **state)
{
    (void)state;
    struct status st;
    struct heard h = {0};
    const struct event_sink sink = {on_event, &h};
    CLEANUP(json_freep) json_t *before = json_object();
    make(&st);
    status_tell(&sink, &st, before);
    assert_int_equal(h.types.len, 4);
    assert_string_equal(h.types.v[3], "status.summary");
    assert_int_equal(json_dot_int(h.last, "healthy", 0), 1);
    status_tell(&sink, &st, before);
    assert_int_equal(h.types.len, 4);
    st.apps[1].ready = 32;
    status_tell(&sink, &st, before);
    assert_int_equal(h.types.len, 5);
    assert_string_equal(json_dot_text(h.last, "app"), "traefik");
    assert_int_equal(json_dot_int(h.last, "ready", 0), 32);
    st.apps[2].is_shown = false; // as one that left Git
    status_tell(&sink, &st, before);
    assert_int_equal(h.types.len, 6);
    assert_string_equal(json_dot_text(h.last, "type"), "status.gone");
    strv_clear(&h.types);
    json_decref(h.last);
    status_clear(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wide), cmocka_unit_test(narrow),
                                       cmocka_unit_test(crowded), cmocka_unit_test(told)};
    return cmocka_run_group_tests(tests, use_utf8, NULL);
}
