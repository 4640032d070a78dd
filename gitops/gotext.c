// SPDX-License-Identifier: Apache-2.0
#include "gitops/gotext.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "gitops/appset.h"

#define MAX_NESTING 100 // of if, range, with; and of parentheses

// What is put in the place of a piece of the text.
struct edit {
    size_t at, len;
    const char *by;     // NULL: a chain of fields, .a.b or $.a.b, of the parameters
    struct strv fields; // of a chain
    size_t head;        // bytes before the first field's dot: 1 for $
};

struct gotext {
    char *text;
    VEC(struct edit) edits; // in the order of the text
};

// ---- functions ----
// Go's own and sprig's, but for those that tell of the machine; sorted.
static const char *const functions[] = {"abbrev",
                                        "abbrevboth",
                                        "add",
                                        "add1",
                                        "add1f",
                                        "addf",
                                        "adler32sum",
                                        "all",
                                        "and",
                                        "any",
                                        "append",
                                        "atoi",
                                        "b32dec",
                                        "b32enc",
                                        "b64dec",
                                        "b64enc",
                                        "base",
                                        "biggest",
                                        "buildCustomCert",
                                        "call",
                                        "camelcase",
                                        "cat",
                                        "ceil",
                                        "chunk",
                                        "clean",
                                        "coalesce",
                                        "compact",
                                        "concat",
                                        "contains",
                                        "dateModify",
                                        "date_modify",
                                        "decryptAES",
                                        "deepCopy",
                                        "deepEqual",
                                        "default",
                                        "derivePassword",
                                        "dict",
                                        "dig",
                                        "dir",
                                        "div",
                                        "divf",
                                        "duration",
                                        "empty",
                                        "eq",
                                        "ext",
                                        "fail",
                                        "first",
                                        "float64",
                                        "floor",
                                        "fromJson",
                                        "fromYaml",
                                        "fromYamlArray",
                                        "ge",
                                        "get",
                                        "gt",
                                        "has",
                                        "hasKey",
                                        "hasPrefix",
                                        "hasSuffix",
                                        "hello",
                                        "html",
                                        "indent",
                                        "index",
                                        "initial",
                                        "initials",
                                        "int",
                                        "int64",
                                        "isAbs",
                                        "join",
                                        "js",
                                        "kebabcase",
                                        "keys",
                                        "kindIs",
                                        "kindOf",
                                        "last",
                                        "le",
                                        "len",
                                        "list",
                                        "lower",
                                        "lt",
                                        "max",
                                        "maxf",
                                        "min",
                                        "minf",
                                        "mod",
                                        "mul",
                                        "mulf",
                                        "mustAppend",
                                        "mustChunk",
                                        "mustCompact",
                                        "mustDateModify",
                                        "mustDeepCopy",
                                        "mustFirst",
                                        "mustFromJson",
                                        "mustHas",
                                        "mustInitial",
                                        "mustLast",
                                        "mustPrepend",
                                        "mustRegexFind",
                                        "mustRegexFindAll",
                                        "mustRegexMatch",
                                        "mustRegexReplaceAll",
                                        "mustRegexReplaceAllLiteral",
                                        "mustRegexSplit",
                                        "mustRest",
                                        "mustReverse",
                                        "mustSlice",
                                        "mustToDate",
                                        "mustToJson",
                                        "mustToPrettyJson",
                                        "mustToRawJson",
                                        "mustUniq",
                                        "mustWithout",
                                        "must_date_modify",
                                        "ne",
                                        "nindent",
                                        "normalize",
                                        "nospace",
                                        "not",
                                        "omit",
                                        "or",
                                        "osBase",
                                        "osClean",
                                        "osDir",
                                        "osExt",
                                        "osIsAbs",
                                        "pick",
                                        "pluck",
                                        "plural",
                                        "prepend",
                                        "print",
                                        "printf",
                                        "println",
                                        "quote",
                                        "regexFind",
                                        "regexFindAll",
                                        "regexMatch",
                                        "regexQuoteMeta",
                                        "regexReplaceAll",
                                        "regexReplaceAllLiteral",
                                        "regexSplit",
                                        "repeat",
                                        "replace",
                                        "rest",
                                        "reverse",
                                        "round",
                                        "semver",
                                        "semverCompare",
                                        "seq",
                                        "sha1sum",
                                        "sha256sum",
                                        "sha512sum",
                                        "slice",
                                        "slugify",
                                        "snakecase",
                                        "sortAlpha",
                                        "split",
                                        "splitList",
                                        "splitn",
                                        "squote",
                                        "sub",
                                        "subf",
                                        "substr",
                                        "swapcase",
                                        "ternary",
                                        "title",
                                        "toDate",
                                        "toDecimal",
                                        "toJson",
                                        "toPrettyJson",
                                        "toRawJson",
                                        "toString",
                                        "toStrings",
                                        "toYaml",
                                        "trim",
                                        "trimAll",
                                        "trimPrefix",
                                        "trimSuffix",
                                        "trimall",
                                        "trunc",
                                        "tuple",
                                        "typeIs",
                                        "typeIsLike",
                                        "typeOf",
                                        "uniq",
                                        "unixEpoch",
                                        "until",
                                        "untilStep",
                                        "untitle",
                                        "upper",
                                        "urlJoin",
                                        "urlParse",
                                        "urlquery",
                                        "without",
                                        "wrap",
                                        "wrapWith"};
// What they give changes from one time to the next, or may: a plan would never be the same twice.
// Dates are those of now for whatever is no time, and values have no order. Sorted.
static const char *const fleeting[] = {"ago",
                                       "bcrypt",
                                       "date",
                                       "dateInZone",
                                       "date_in_zone",
                                       "durationRound",
                                       "encryptAES",
                                       "genCA",
                                       "genCAWithKey",
                                       "genPrivateKey",
                                       "genSelfSignedCert",
                                       "genSelfSignedCertWithKey",
                                       "genSignedCert",
                                       "genSignedCertWithKey",
                                       "htmlDate",
                                       "htmlDateInZone",
                                       "htpasswd",
                                       "now",
                                       "randAlpha",
                                       "randAlphaNum",
                                       "randAscii",
                                       "randBytes",
                                       "randInt",
                                       "randNumeric",
                                       "shuffle",
                                       "uuidv4",
                                       "values"};
// They change maps, which may be the parameters: what is missing is told before. Sorted.
static const char *const changing[] = {"merge", "mergeOverwrite", "mustMerge", "mustMergeOverwrite",
                                       "set",   "unset"};

static int by_name(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

static bool is_among(const char *name, const char *const *list, size_t n)
{
    return bsearch(name, list, n, sizeof(*list), by_name) != NULL;
}

static bool check_function(const char *name, struct err *err)
{
    if (is_among(name, functions, ARRAY_LEN(functions)))
        return true;
    if (is_among(name, fleeting, ARRAY_LEN(fleeting)))
        return err_set(err, ERR_INVALID,
                       "%s gives something else each time, which regrow does not support", name);
    if (is_among(name, changing, ARRAY_LEN(changing)))
        return err_set(err, ERR_INVALID,
                       "%s changes what it is given, which regrow does not support", name);
    return err_set(err, ERR_INVALID, "function \"%.60s\" not defined", name);
}

// ---- reading ----
// One if, range or with. The parameters are not "." where it is changed.
struct block {
    bool is_changed;
};

struct reader {
    struct gotext *t;
    const char *s;
    size_t at;
    struct block blocks[MAX_NESTING];
    size_t n_blocks, n_changed;
    // of the action that is read:
    const char *tails[MAX_NESTING]; // by depth of parentheses: what its command goes on to, or NULL
    size_t depth;
    size_t operand_end; // where an operand ended that fields may be asked of
    int opens;          // 1: it begins a block in which "." is the same, 2: another; 0: none
    bool is_else;
    struct err *err;
};

static struct edit *add_edit(struct reader *r, size_t at, size_t len, const char *by)
{
    struct edit *e = vec_push(&r->t->edits);
    e->at = at;
    e->len = len;
    e->by = by;
    return e;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static size_t word_len(const char *s)
{
    size_t n = 0;
    while (is_word(s[n]))
        n++;
    return n;
}

static bool is_blank(char c)
{
    return c && strchr(" \t\r\n", c);
}

// Bytes of the end of an action that stands here, with the mark that trims; 0: it goes on.
static size_t end_len(const char *s)
{
    if (is_blank(s[0]) && s[1] == '-' && s[2] == '}' && s[3] == '}')
        return 4;
    return s[0] == '}' && s[1] == '}' ? 2 : 0;
}

// Behind a quoted text; where the whole text ends if it is left open.
static size_t quoted_end(const char *s, size_t at)
{
    char q = s[at++];
    for (; s[at] && s[at] != q; at++)
        if (s[at] == '\\' && q != '`' && s[at + 1])
            at++;
    return s[at] ? at + 1 : at;
}

static void set_changed(struct reader *r, bool is_changed)
{
    if (!r->n_blocks)
        return;
    struct block *b = &r->blocks[r->n_blocks - 1];
    r->n_changed += (size_t)is_changed - (size_t)b->is_changed;
    b->is_changed = is_changed;
}

static bool end_block(struct reader *r)
{
    set_changed(r, false);
    r->n_blocks -= r->n_blocks > 0;
    return true;
}

static bool refuse_word(struct reader *r, const char *word)
{
    return err_set(r->err, ERR_INVALID, "{{%s}} in a template is not supported by regrow", word);
}

static bool keyword(struct reader *r, const char *word, bool *found)
{
    static const char *const constants[] = {"nil", "true", "false", "break", "continue"};
    static const char *const refused[] = {"define", "block", "template"};
    *found = true;
    for (size_t i = 0; i < ARRAY_LEN(constants); i++)
        if (!strcmp(word, constants[i]))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (!strcmp(word, refused[i]))
            return refuse_word(r, word);
    if (!strcmp(word, "end"))
        return end_block(r);
    if (!strcmp(word, "else")) {
        set_changed(r, false);
        r->is_else = true;
    } else if (!strcmp(word, "if")) {
        r->opens = 1;
    } else if (!strcmp(word, "range") || !strcmp(word, "with")) {
        r->opens = 2;
    } else {
        *found = false;
    }
    return true;
}

// fromJson is helm's own there, which reads nothing but maps.
static void rewrite(struct reader *r, const char *word, size_t len)
{
    if (!strcmp(word, "normalize")) {
        add_edit(r, r->at, len, "include \"" GO_NORMALIZE "\"");
    } else if (!strcmp(word, "fromJson")) {
        add_edit(r, r->at, len, "mustFromJson");
    } else if (!strcmp(word, "slugify")) {
        add_edit(r, r->at, len, "list");
        r->tails[r->depth] = " | include \"" GO_SLUGIFY "\"";
    } else if (!strcmp(word, "keys")) { // which have no order
        r->tails[r->depth] = " | sortAlpha";
    }
}

static bool read_word(struct reader *r)
{
    size_t len = word_len(r->s + r->at);
    bool found = true;
    if (!isdigit((unsigned char)r->s[r->at])) {
        CLEANUP(str_freep) char *word = str_ndup(r->s + r->at, len);
        if (!keyword(r, word, &found) || (!found && !check_function(word, r->err)))
            return false;
        if (!found)
            rewrite(r, word, len);
    }
    r->at += len;
    r->operand_end = r->at;
    return true;
}

// .a.b, or $.a.b: of the parameters, unless "." is something else here.
static void read_fields(struct reader *r, size_t from, bool is_root)
{
    struct edit e = {.at = from, .head = r->at - from};
    while (r->s[r->at] == '.' && is_word(r->s[r->at + 1])) {
        size_t len = word_len(r->s + r->at + 1);
        strv_push_take(&e.fields, str_ndup(r->s + r->at + 1, len));
        r->at += 1 + len;
    }
    if (r->at == from)
        r->at++; // "." itself
    e.len = r->at - from;
    r->operand_end = r->at;
    if (is_root && e.fields.len)
        *vec_push(&r->t->edits) = e;
    else
        strv_clear(&e.fields);
}

// A call of slugify ends here: what was made a list goes to the template that stands for it. Or one
// of keys, which are put in order.
static void end_command(struct reader *r)
{
    if (r->tails[r->depth])
        add_edit(r, r->at, 0, r->tails[r->depth]);
    r->tails[r->depth] = NULL;
}

static bool read_parenthesis(struct reader *r)
{
    if (r->s[r->at] == '(') {
        if (r->depth + 1 >= MAX_NESTING)
            return err_set(r->err, ERR_INVALID, "more than %d parentheses in one another",
                           MAX_NESTING);
        r->tails[++r->depth] = NULL;
    } else {
        end_command(r);
        r->depth -= r->depth > 0;
        r->operand_end = r->at + 1;
    }
    r->at++;
    return true;
}

// The parameters are "$" from the beginning to the end.
static bool check_root(struct reader *r, size_t at)
{
    while (is_blank(r->s[at]))
        at++;
    if (r->s[at] != ',' && r->s[at] != '=' && (r->s[at] != ':' || r->s[at + 1] != '='))
        return true;
    return err_set(r->err, ERR_INVALID, "\"$\" that is made another is not supported by regrow");
}

static bool read_token(struct reader *r)
{
    const char *s = r->s + r->at;
    bool is_asked = r->operand_end == r->at; // of the operand before it, without a blank
    size_t from = r->at;
    switch (*s) {
    case '"':
    case '\'':
    case '`':
        r->at = r->operand_end = quoted_end(r->s, r->at);
        return true;
    case '(':
    case ')':
        return read_parenthesis(r);
    case '|':
        end_command(r);
        r->at++;
        return true;
    case '$':
        r->at += 1 + word_len(s + 1);
        if (r->at == from + 1 && !check_root(r, r->at))
            return false;
        read_fields(r, from, r->at == from + 1);
        return true;
    case '.':
        if (!isdigit((unsigned char)s[1]) || is_asked) {
            read_fields(r, from, !is_asked && !r->n_changed);
            return true;
        }
        break;
    default:
        if (is_word(*s))
            return read_word(r);
    }
    r->at++;
    return true;
}

static bool end_action(struct reader *r)
{
    end_command(r);
    if (r->is_else) {
        set_changed(r, r->opens == 2);
    } else if (r->opens) {
        if (r->n_blocks == MAX_NESTING)
            return err_set(r->err, ERR_INVALID, "more than %d blocks in one another", MAX_NESTING);
        r->blocks[r->n_blocks++].is_changed = r->opens == 2;
        r->n_changed += r->opens == 2;
    }
    return true;
}

static bool skip_comment(struct reader *r)
{
    const char *s = r->s + r->at;
    if (s[0] == '-' && is_blank(s[1]))
        s += 2;
    if (s[0] != '/' || s[1] != '*')
        return false;
    const char *end = strstr(s + 2, "*/");
    r->at = end ? (size_t)(end + 2 - r->s) : strlen(r->s);
    r->at += end_len(r->s + r->at);
    return true;
}

static bool read_action(struct reader *r)
{
    if (skip_comment(r))
        return true;
    r->depth = 0;
    r->tails[0] = NULL;
    r->opens = 0;
    r->is_else = false;
    r->operand_end = SIZE_MAX;
    if (r->s[r->at] == '-' && is_blank(r->s[r->at + 1]))
        r->at++;
    while (r->s[r->at]) {
        size_t end = end_len(r->s + r->at);
        if (end) {
            bool ok = end_action(r);
            r->at += end;
            return ok;
        }
        if (!read_token(r))
            return false;
    }
    return true;
}

bool gotext_is_template(const char *text)
{
    return strstr(text, "{{") != NULL;
}

bool gotext_read(const char *text, struct gotext **out, struct err *err)
{
    struct gotext *t = mem_alloc(sizeof(*t));
    struct reader r = {.t = t, .s = text, .err = err};
    const char *open;
    bool ok = true;
    t->text = str_dup(text);
    while (ok && (open = strstr(text + r.at, "{{"))) {
        r.at = (size_t)(open + 2 - text);
        ok = read_action(&r);
    }
    if (!ok) {
        gotext_free(t);
        return false;
    }
    *out = t;
    return true;
}

void gotext_free(struct gotext *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->edits.len; i++)
        strv_clear(&t->edits.v[i].fields);
    vec_clear(&t->edits);
    free(t->text);
    free(t);
}

// ---- binding ----
// The number of the first field that is missing, or how many there are. Of what is no map, or null,
// the program itself says what is wrong.
static size_t find_missing(const struct edit *e, const json_t *params)
{
    for (size_t i = 0; i < e->fields.len; i++) {
        if (!json_is_object(params))
            return e->fields.len;
        params = json_object_get(params, e->fields.v[i]);
        if (!params)
            return i;
    }
    return e->fields.len;
}

// What Go says of it. The text of a field needs no escapes.
static void write_failure(const struct edit *e, const char *text, size_t missing, struct buf *b)
{
    buf_printf(b, "(fail `at <%.*s>: map has no entry for key \"%s\"`)", (int)e->len, text + e->at,
               e->fields.v[missing]);
}

// A field of what is missing is missing: Go knows no difference, but helm's Go would fail.
static void write_chain(const struct edit *e, const char *text, size_t missing,
                        enum go_missing what, struct buf *b)
{
    size_t len = e->head;
    if (missing < e->fields.len && what == GO_MISSING_ERROR) {
        write_failure(e, text, missing, b);
        return;
    }
    for (size_t i = 0; i < e->fields.len && i <= missing; i++)
        len += 1 + strlen(e->fields.v[i]);
    buf_append(b, text + e->at, len);
}

char *gotext_bind(const struct gotext *t, const json_t *params, enum go_missing missing)
{
    struct buf b = {0};
    size_t at = 0;
    for (size_t i = 0; i < t->edits.len; i++) {
        const struct edit *e = &t->edits.v[i];
        buf_append(&b, t->text + at, e->at - at);
        if (e->by)
            buf_str(&b, e->by);
        else
            write_chain(e, t->text, find_missing(e, params), missing, &b);
        at = e->at + e->len;
    }
    buf_str(&b, t->text + at);
    return buf_take(&b);
}

// A field of null is not missing but an error.
static bool is_there(const struct edit *e, const json_t *params)
{
    for (size_t i = 0; i < e->fields.len; i++) {
        if (json_is_null(params))
            return true;
        params = json_object_get(params, e->fields.v[i]);
        if (!params)
            return false;
    }
    return true;
}

bool gotext_has_all(const struct gotext *t, const json_t *params)
{
    bool all = true;
    for (size_t i = 0; i < t->edits.len; i++)
        all &= t->edits.v[i].by || is_there(&t->edits.v[i], params);
    return all;
}
