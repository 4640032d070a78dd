// SPDX-License-Identifier: Apache-2.0
//
// One health script of a user's, in a sandbox like Argo CD's: what it can reach is its object and
// the base and table libraries (string, math and coroutine when it is allowed open libraries); of
// os there are time and date, and nothing loads code or looks at the interpreter. The machine code
// compiler is off. Time is bounded by a hook that counts instructions, memory by the allocator;
// what neither of them can stop, one long call into C such as a pattern match, is stopped by the
// process that waits for the answer (health_worker.c).
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>

#include "reconcile/health_int.h"

#define MAX_MEMORY (32U << 20) // an object of 1.5 MiB, the most an API server stores, takes a third
#define CHECK_EVERY 10000
#define MAX_MESSAGE (64U << 10)

struct vm {
    const struct health_script *script;
    const json_t *obj;
    struct health_result *result;
    size_t used;
    int64_t deadline_ms; // of this process's processor time
    bool is_overdue;
};

static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *bounded_alloc(void *ctx, void *p, size_t old, size_t size)
{
    struct vm *vm = ctx;
    if (!size) {
        vm->used -= p ? old : 0;
        free(p);
        return NULL;
    }
    size_t before = p ? old : 0;
    if (size > before && size - before > MAX_MEMORY - vm->used)
        return NULL;
    void *q = realloc(p, size);
    if (q)
        vm->used = vm->used - before + size;
    return q;
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    void *ctx;
    lua_getallocf(L, &ctx);
    struct vm *vm = ctx;
    if (!vm->is_overdue && cpu_ms() < vm->deadline_ms)
        return;
    // From now on at every instruction, so that no pcall of the script's holds it up.
    vm->is_overdue = true;
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    luaL_error(L, "out of time");
}

// ---- what a script finds ----

static int nothing(lua_State *L)
{
    (void)L;
    return 0;
}

static int field_of(lua_State *L, const char *name, int fallback)
{
    lua_getfield(L, 1, name);
    int v = lua_type(L, -1) == LUA_TNUMBER ? (int)lua_tointeger(L, -1) : fallback;
    lua_pop(L, 1);
    return v;
}

static int os_time(lua_State *L)
{
    time_t t = time(NULL);
    if (lua_gettop(L) > 0) {
        luaL_checktype(L, 1, LUA_TTABLE);
        struct tm tm = {
            .tm_sec = field_of(L, "sec", 0),
            .tm_min = field_of(L, "min", 0),
            .tm_hour = field_of(L, "hour", 12),
            .tm_mday = field_of(L, "day", -1),
            .tm_mon = field_of(L, "month", -1) - 1,
            .tm_year = field_of(L, "year", -1) - 1900,
            .tm_isdst = -1,
        };
        t = mktime(&tm);
    }
    lua_pushnumber(L, (lua_Number)t);
    return 1;
}

static void push_date_table(lua_State *L, const struct tm *tm)
{
    const struct {
        const char *name;
        int value;
    } all[] = {
        {"year", tm->tm_year + 1900}, {"month", tm->tm_mon + 1}, {"day", tm->tm_mday},
        {"hour", tm->tm_hour},        {"min", tm->tm_min},       {"sec", tm->tm_sec},
        {"wday", tm->tm_wday + 1},    {"yday", tm->tm_yday + 1},
    };
    lua_newtable(L);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        lua_pushinteger(L, all[i].value);
        lua_setfield(L, -2, all[i].name);
    }
    lua_pushboolean(L, tm->tm_isdst > 0);
    lua_setfield(L, -2, "isdst");
}

// The letter is one of a list below, which the compiler cannot see.
static size_t (*const format_time)(char *, size_t, const char *, const struct tm *) = strftime;

// os.date([format [, time]]): "!" is UTC, "*t" gives a table, else strftime's letters of ISO C.
static int os_date(lua_State *L)
{
    const char *format = luaL_optstring(L, 1, "%c");
    time_t t = lua_isnoneornil(L, 2) ? time(NULL) : (time_t)luaL_checknumber(L, 2);
    struct tm tm = {0};
    bool utc = *format == '!';
    format += utc;
    if (!(utc ? gmtime_r(&t, &tm) : localtime_r(&t, &tm)))
        return luaL_error(L, "date out of range");
    if (str_starts(format, "*t")) {
        push_date_table(L, &tm);
        return 1;
    }
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (const char *p = format; *p; p++) {
        char one[3] = {'%', p[1], '\0'};
        char text[128];
        if (*p != '%' || !p[1] || !strchr("aAbBcdFHIjmMpSUwWxXyYzZ%", p[1])) {
            luaL_addchar(&b, *p);
            continue;
        }
        luaL_addlstring(&b, text, format_time(text, sizeof(text), one, &tm));
        p++;
    }
    luaL_pushresult(&b);
    return 1;
}

static void push_os(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, os_time);
    lua_setfield(L, -2, "time");
    lua_pushcfunction(L, os_date);
    lua_setfield(L, -2, "date");
}

// Only what is open anyway can be required, and os.
static int require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    if (!strcmp(name, "os")) {
        push_os(L);
        return 1;
    }
    lua_getglobal(L, name);
    return lua_istable(L, -1) ? 1 : luaL_error(L, "module %s not found", name);
}

static void open_library(lua_State *L, lua_CFunction open, const char *name)
{
    lua_pushcfunction(L, open);
    lua_pushstring(L, name);
    lua_call(L, 1, 0);
}

static void open_libraries(lua_State *L, bool open_libs)
{
    static const char *const removed[] = {"dofile",  "loadfile", "load",   "loadstring", "getfenv",
                                          "setfenv", "newproxy", "module", "jit",        "gcinfo"};
    open_library(L, luaopen_base, "");
    open_library(L, luaopen_table, "table");
    for (size_t i = 0; i < ARRAY_LEN(removed); i++) {
        lua_pushnil(L);
        lua_setglobal(L, removed[i]);
    }
    lua_register(L, "print", nothing);
    lua_register(L, "collectgarbage", nothing);
    lua_register(L, "require", require);
    if (!open_libs) {
        lua_pushnil(L);
        lua_setglobal(L, "coroutine");
        return;
    }
    open_library(L, luaopen_string, "string");
    open_library(L, luaopen_math, "math");
    lua_getglobal(L, "string");
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pop(L, 1);
    push_os(L);
    lua_setglobal(L, "os");
}

// Numbers become doubles; null is left out, of lists as well.
static void push_json(lua_State *L, const json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;
    int n = 0;
    luaL_checkstack(L, 4, "object too deep");
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        lua_createtable(L, 0, (int)json_object_size(v));
        json_object_foreach((json_t *)v, key, item)
        {
            if (json_is_null(item))
                continue;
            lua_pushstring(L, key);
            push_json(L, item);
            lua_rawset(L, -3);
        }
        return;
    case JSON_ARRAY:
        lua_createtable(L, (int)json_array_size(v), 0);
        json_array_foreach(v, i, item)
        {
            if (json_is_null(item))
                continue;
            push_json(L, item);
            lua_rawseti(L, -2, ++n);
        }
        return;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(v), json_string_length(v));
        return;
    case JSON_INTEGER:
    case JSON_REAL:
        lua_pushnumber(L, json_number_value(v));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(v));
        return;
    case JSON_NULL:
        lua_pushnil(L);
    }
}

// ---- the answer ----

enum shape { SHAPE_LIST, SHAPE_MAP, SHAPE_BAD };

// What the table on top would be as JSON, which is the form Argo CD reads it in.
static enum shape shape_of(lua_State *L)
{
    bool has_text = false;
    bool has_other = false;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        int type = lua_type(L, -1);
        bool is_text = lua_type(L, -2) == LUA_TSTRING;
        has_text |= is_text;
        has_other |= !is_text;
        if (type == LUA_TFUNCTION || type == LUA_TUSERDATA || type == LUA_TTHREAD) {
            lua_pop(L, 2);
            return SHAPE_BAD;
        }
    }
    return has_text && has_other ? SHAPE_BAD : has_text ? SHAPE_MAP : SHAPE_LIST;
}

// Field `name` of the table on top, in any case of letters, the exact one first. Left on the stack.
static void push_field(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (strcasecmp(lua_tostring(L, -2), name) != 0)
            continue;
        lua_remove(L, -2);
        return;
    }
    lua_pushnil(L);
}

static bool is_text_or_nil(lua_State *L, int at)
{
    return lua_isnil(L, at) || lua_type(L, at) == LUA_TSTRING;
}

// Reads what the script returned, on top of the stack (spec argo-cd 4.4).
static void read_answer(lua_State *L, struct health_result *r)
{
    enum health h;
    if (lua_isnil(L, -1)) {
        health_set(r, HEALTH_BLANK, "%s", "");
        return;
    }
    if (!lua_istable(L, -1)) {
        health_error(r, "expect table output from Lua script, not %s", luaL_typename(L, -1));
        return;
    }
    enum shape shape = shape_of(L);
    if (shape == SHAPE_BAD) {
        health_error(r, "cannot encode mixed or invalid key types, or functions, as JSON");
        return;
    }
    if (shape == SHAPE_LIST) {
        health_set(r, HEALTH_BLANK, "%s", "");
        return;
    }
    push_field(L, "message");
    lua_insert(L, -2);
    push_field(L, "status");
    if (!is_text_or_nil(L, -1) || !is_text_or_nil(L, -3)) {
        health_set(r, HEALTH_BLANK, "%s", "");
        return;
    }
    const char *status = lua_tostring(L, -1);
    const char *message = lua_tostring(L, -3);
    if (!status || !health_parse(status, &h))
        health_set(r, HEALTH_UNKNOWN, "Lua returned an invalid health status");
    else
        health_set(r, h, "%.*s", (int)MAX_MESSAGE, message ? message : "");
}

static int protected_run(lua_State *L)
{
    struct vm *vm = lua_touserdata(L, 1);
    const char *text = vm->script->text;
    lua_settop(L, 0);
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    open_libraries(L, vm->script->open_libs);
    lua_newtable(L);
    lua_setglobal(L, "actionParams");
    push_json(L, vm->obj);
    lua_setglobal(L, "obj");
    if (luaL_loadbufferx(L, text, strlen(text), "=<string>", "t"))
        return lua_error(L);
    lua_sethook(L, on_count, LUA_MASKCOUNT, CHECK_EVERY);
    lua_call(L, 0, LUA_MULTRET);
    lua_sethook(L, NULL, 0, 0);
    luaL_checkstack(L, 8, "too many results");
    if (lua_gettop(L) == 0)
        lua_pushnil(L);
    read_answer(L, vm->result);
    return 0;
}

void health_lua_run(const struct health_script *script, const json_t *obj, struct health_result *r)
{
    struct vm vm = {.script = script, .obj = obj, .result = r};
    vm.deadline_ms = cpu_ms() + HEALTH_SCRIPT_MS;
    lua_State *L = lua_newstate(bounded_alloc, &vm);
    if (!L) {
        health_error(r, "the Lua interpreter cannot be started");
        return;
    }
    int rc = lua_cpcall(L, protected_run, &vm);
    const char *message = rc ? lua_tostring(L, -1) : NULL;
    if (vm.is_overdue)
        health_error(r, HEALTH_OUT_OF_TIME);
    else if (rc == LUA_ERRMEM)
        health_error(r, "not enough memory");
    else if (rc)
        health_error(r, "%.*s", (int)MAX_MESSAGE, message ? message : "the script failed");
    lua_close(L);
}
