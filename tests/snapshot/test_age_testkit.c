// SPDX-License-Identifier: Apache-2.0
//
// The age format's own test vectors, fetched by scripts/setup: each file must open, or fail as it
// says. Files of hybrid recipients, which are not supported, must be refused as that.
#include <dirent.h>
#include <stdio.h>

#include "base/file.h"
#include "base/hash.h"
#include "snapshot/age.h"
#include "tests/test.h"

#define MAX_VECTOR_BYTES (64U << 20)
#define LEAST_VECTORS 120 // fewer: they did not arrive

struct vector {
    const char *name;
    char *expect, *payload; // payload: hex of its SHA-256
    struct age_identities identities;
    bool is_hybrid;
    struct strv passphrases;
    const char *file;
    size_t file_len;
};

static void vector_clear(struct vector *v)
{
    free(v->expect);
    free(v->payload);
    age_identities_clear(&v->identities);
    strv_clear(&v->passphrases);
}

static void read_field(struct vector *v, const char *key, const char *value)
{
    struct err err = {0};
    if (!strcmp(key, "expect"))
        v->expect = str_dup(value);
    else if (!strcmp(key, "payload"))
        v->payload = str_dup(value);
    else if (!strcmp(key, "passphrase"))
        strv_push(&v->passphrases, value);
    else if (!strcmp(key, "identity") && str_starts(value, "AGE-SECRET-KEY-PQ-"))
        v->is_hybrid = true;
    else if (!strcmp(key, "identity") &&
             !age_identities_read(value, strlen(value), &v->identities, &err))
        fail_msg("%s: %s", v->name, err.msg);
}

// "key: value" lines, an empty line, the file.
static void read_vector(const char *name, const struct buf *b, struct vector *v)
{
    *v = (struct vector){.name = name};
    const char *p = b->p;
    for (;;) {
        const char *nl = strchr(p, '\n');
        assert_non_null(nl);
        if (nl == p)
            break;
        CLEANUP(str_freep) char *line = str_ndup(p, (size_t)(nl - p));
        char *colon = strstr(line, ": ");
        assert_non_null(colon);
        *colon = '\0';
        read_field(v, line, colon + 2);
        p = nl + 1;
    }
    v->file = p + 1;
    v->file_len = b->len - (size_t)(v->file - b->p);
}

// Opens with the identities or with any of the passphrases, as the age program would.
static bool open_vector(const struct vector *v, struct buf *out, struct err *err)
{
    struct age_keys keys = {.identities = &v->identities};
    if (!v->passphrases.len)
        return age_open(&keys, v->file, v->file_len, MAX_VECTOR_BYTES, out, err);
    for (size_t i = 0; i < v->passphrases.len; i++) {
        err_clear(err);
        keys.passphrase = v->passphrases.v[i];
        if (age_open(&keys, v->file, v->file_len, MAX_VECTOR_BYTES, out, err))
            return true;
        if (err->kind != ERR_DENIED)
            return false;
    }
    return false;
}

static const struct {
    const char *expect;
    enum err_kind kind;
} kinds[] = {
    {"success", ERR_NONE},          {"no match", ERR_DENIED},
    {"HMAC failure", ERR_CORRUPT},  {"header failure", ERR_CORRUPT},
    {"armor failure", ERR_CORRUPT}, {"payload failure", ERR_CORRUPT},
};

static enum err_kind expected_kind(const struct vector *v)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].expect, v->expect))
            return kinds[i].kind;
    fail_msg("%s: unknown expectation %s", v->name, v->expect);
    return ERR_INTERNAL;
}

static bool try_vector(const struct vector *v)
{
    struct buf out CLEANUP(buf_clear) = {0};
    struct err err = {0};
    enum err_kind want = expected_kind(v);
    enum err_kind got = open_vector(v, &out, &err) ? ERR_NONE : err.kind;
    bool ok = got == want;
    if (v->is_hybrid && !v->identities.v.len) // refused, or damaged where we look as well
        ok = got == ERR_DENIED || (got == ERR_CORRUPT && want == ERR_CORRUPT);
    if (ok && got == ERR_NONE) {
        struct sha256 h = sha256_of(out.p ? out.p : "", out.len);
        CLEANUP(str_freep) char *hex = hex_encode(h.b, sizeof(h.b));
        ok = !strcmp(hex, v->payload);
    }
    if (!ok)
        print_error("%s: expected %s, got %s %s\n", v->name, v->expect, err_kind_name(got),
                    err.msg ? err.msg : "");
    if (got != ERR_NONE && out.len) {
        print_error("%s: %zu bytes given out of a file that does not open\n", v->name, out.len);
        ok = false;
    }
    err_clear(&err);
    return ok;
}

static char *newest_in(const char *dir)
{
    struct dirent **names = NULL;
    char *found = NULL;
    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] == 'v' && !str_ends(names[i]->d_name, ".new")) {
            free(found);
            found = path_join(dir, names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    return found;
}

// Where scripts/setup keeps it; NULL when it is not there.
static char *testkit_folder(void)
{
    const char *own = getenv("REGROW_CACHE");
    const char *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    CLEANUP(str_freep)
    char *dir = own && *own   ? str_printf("%s/age-testkit", own)
                : xdg && *xdg ? str_printf("%s/regrow/age-testkit", xdg)
                              : str_printf("%s/.cache/regrow/age-testkit", home ? home : "");
    return newest_in(dir);
}

static void every_vector(void **s)
{
    (void)s;
    CLEANUP(str_freep) char *dir = testkit_folder();
    if (!dir) {
        print_message("scripts/setup has not fetched the vectors\n");
        skip();
    }
    struct dirent **names = NULL;
    int n = scandir(dir, &names, NULL, alphasort);
    unsigned tried = 0;
    unsigned bad = 0;
    for (int i = 0; i < n; i++) {
        CLEANUP(str_freep) char *path = path_join(dir, names[i]->d_name);
        struct buf b CLEANUP(buf_clear) = {0};
        struct err err = {0};
        struct vector v;
        if (names[i]->d_name[0] != '.') {
            if (!file_read(path, MAX_VECTOR_BYTES, &b, &err))
                fail_msg("%s", err.msg);
            read_vector(names[i]->d_name, &b, &v);
            bad += !try_vector(&v);
            tried++;
            vector_clear(&v);
        }
        free(names[i]);
    }
    free(names);
    print_message("%u vectors\n", tried);
    assert_int_equal(bad, 0);
    assert_true(tried >= LEAST_VECTORS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_vector)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
