// SPDX-License-Identifier: Apache-2.0
//
// Packs gone through without the library, against what Git says of them: every object, and what
// they name and have not.
#include "source/gitscan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/test.h"

// Long files that change a little, so that deltas stand on deltas; a file of more than a piece;
// empty files and trees. "ofs" and "ref" name bases by place and by id; "part" lacks the first
// commit, "thin" the bases too.
static const char make_all[] =
    "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='1700000000 +0000' "
    "GIT_COMMITTER_DATE='1700000000 +0000'\n"
    "g() { git -c user.name=t -c user.email=t@example.com -c pack.threads=1 \"$@\"; }\n"
    "git init -q -b main r; cd r; mkdir -p a/b\n"
    "for i in $(seq 40); do seq $i 3 4000 >long; echo $i >a/b/$i; g add .; g commit -qm $i; done\n"
    "echo more >>long; head -c 3000000 /dev/zero | tr '\\0' x >large; : >empty; chmod +x empty; "
    "ln -s empty link\n"
    "g update-index --add --cacheinfo 160000,1111111111111111111111111111111111111111,sub\n"
    "g add .; g commit -qm last; g tag -a -m x one; g tag -a -m y two one 2>/dev/null\n"
    "git rev-list --all --objects | cut -d' ' -f1 >../all\n"
    "git cat-file --batch-check='%%(objectname) %%(objecttype)' <../all | sort >../types\n"
    "g pack-objects -q --delta-base-offset --depth=50 --window=20 --stdout <../all >../ofs.pack\n"
    "g pack-objects -q --depth=50 --window=20 --stdout <../all >../ref.pack\n"
    "printf '%%s\\n^%%s\\n' HEAD HEAD~40 | g pack-objects -q --revs --stdout >../part.pack\n"
    "printf '%%s\\n^%%s\\n' HEAD HEAD~1 | g pack-objects -q --revs --thin --stdout >../thin.pack\n"
    "git rev-parse HEAD~40 HEAD~40: HEAD~40:a/b/1 >../first\n"
    "git index-pack ../ofs.pack >../log; git verify-pack -v ../ofs.idx | grep -c "
    "' [1-9][0-9]* [0-9a-f]\\{40\\}$' >../deltas\n";

struct fixture {
    char *dir;
};

static int set_up(void **s)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-scan", &f->dir, &err))
        return -1;
    CLEANUP(str_freep) char *script = str_printf(make_all, f->dir);
    *s = f;
    return system(script) == 0 ? 0 : -1;
}

static int tear_down(void **s)
{
    struct fixture *f = *s;
    dir_temp_cleanup(&f->dir);
    free(f);
    return 0;
}

static void text_of(const struct fixture *f, const char *name, struct buf *out)
{
    CLEANUP(str_freep) char *path = path_join(f->dir, name);
    struct err err = {0};
    if (!file_read(path, 8 << 20, out, &err))
        fail_msg("%s", err.msg);
}

static struct git_scan *scan(const struct fixture *f, const char *name)
{
    CLEANUP(str_freep) char *path = path_join(f->dir, name);
    struct git_scan *s = NULL;
    struct err err = {0};
    if (!git_scan_pack(path, NULL, &s, &err))
        fail_msg("%s", err.msg);
    return s;
}

static void what_git_says(void **st)
{
    struct fixture *f = *st;
    struct buf types CLEANUP(buf_clear) = {0};
    struct buf deltas CLEANUP(buf_clear) = {0};
    text_of(f, "types", &types);
    text_of(f, "deltas", &deltas);
    assert_true(atoi(deltas.p) > 50);
    static const char *const packs[] = {"ofs.pack", "ref.pack"};
    for (size_t i = 0; i < ARRAY_LEN(packs); i++) {
        struct git_scan *s = scan(f, packs[i]);
        const struct git_named *outside;
        size_t n = 0;
        assert_non_null(s);
        for (const char *line = types.p; *line; line = strchr(line, '\n') + 1, n++) {
            git_oid id;
            assert_int_equal(git_oid_fromstrn(&id, line, GIT_OID_HEXSZ), 0);
            const char *type = git_object_type2string(git_scan_type(s, &id));
            if (strncmp(line + GIT_OID_HEXSZ + 1, type, strlen(type)) != 0 || !*type)
                fail_msg("%s: \"%s\", not %.60s", packs[i], type, line);
        }
        assert_int_equal(git_scan_objects(s), n);
        assert_int_equal(git_scan_outside(s, &outside), 0);
        git_scan_free(s);
    }
}

// What the first commit has, of that nothing is here.
static void outside(void **st)
{
    struct fixture *f = *st;
    struct git_scan *s = scan(f, "part.pack");
    const struct git_named *v;
    struct buf first CLEANUP(buf_clear) = {0};
    static const git_object_t types[] = {GIT_OBJECT_COMMIT, GIT_OBJECT_TREE, GIT_OBJECT_BLOB};
    text_of(f, "first", &first);
    assert_non_null(s);
    size_t n = git_scan_outside(s, &v);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        git_oid id;
        bool named = false;
        assert_int_equal(git_oid_fromstrn(&id, first.p + i * 41, GIT_OID_HEXSZ), 0);
        assert_int_equal(git_scan_type(s, &id), GIT_OBJECT_INVALID);
        for (size_t k = 0; k < n; k++)
            named |= git_oid_equal(&v[k].id, &id) && v[k].type == types[i];
        assert_int_equal(named, types[i] != GIT_OBJECT_TREE); // the second has another tree
    }
    git_scan_free(s);
    assert_null(scan(f, "thin.pack"));
}

// Whatever byte is another: nothing is made of it, or (of what no sum is over) nothing else.
static void any_byte(void **st)
{
    struct fixture *f = *st;
    CLEANUP(str_freep) char *path = path_join(f->dir, "ref.pack");
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    text_of(f, "ref.pack", &b);
    for (size_t i = 0; i < b.len; i += i < 400 ? 1 : 211) {
        b.p[i] ^= 1 << i % 8;
        assert_true(file_replace(path, b.p, b.len, 0600, &err));
        assert_null(scan(f, "ref.pack"));
        b.p[i] ^= 1 << i % 8;
    }
    for (size_t len = 0; len < b.len; len += 997) {
        assert_true(file_replace(path, b.p, len, 0600, &err));
        assert_null(scan(f, "ref.pack"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_git_says), cmocka_unit_test(outside),
                                       cmocka_unit_test(any_byte)};
    return cmocka_run_group_tests_name("source gitscan", tests, set_up, tear_down);
}
