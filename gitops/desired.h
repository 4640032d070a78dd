// SPDX-License-Identifier: Apache-2.0
//
// The desired state as a whole: applications (the root first), their objects, projects. Filled by
// the source room, read by everybody below it. Objects are unique by identity; `desired_finish`
// sorts them and reports objects owned twice.
#ifndef GITOPS_DESIRED_H
#define GITOPS_DESIRED_H

#include "gitops/app.h"
#include "gitops/kinds.h"

struct desired {
    char *root_name;          // display: "platform"
    char *root_revision;      // display: "3f9c2e1", or NULL for a folder
    char *root_commit;        // full id, or NULL
    int64_t root_time_unix_s; // commit time; 0 unknown
    char *root_ref;           // "main", or NULL
    VEC(struct application *) apps;
    VEC(struct object) objects;
    VEC(json_t *) projects; // AppProject documents
    struct kinds *kinds;    // built-in, CRDs of this state, and what discovery said
    struct strv warnings;
    json_t *ignore; // ignoreDifferences of all applications, or NULL
    // Of the states that one source has read the number of this one, and of the one before: objects
    // they share are sorted already. 0: there are none.
    unsigned state, last_state;
    size_t index_len; // private: sorted index over objects
    unsigned *index;
    size_t n_by_app; // private: objects by application, of so many applications
    unsigned *app_first, *app_objects;
    size_t n_by_name; // private: applications by tracking name, then by index
    unsigned *by_name;
    // Of a part of another one (desired_part), else NULL: that one, which of its applications this
    // is about, and where its objects are there.
    struct desired *whole;
    bool *taken;
    unsigned *origin;
    bool is_with_gone; // about what applications that are gone have left, too
};

struct desired *desired_new(void);
void desired_free(struct desired *d);
CLEANUP_FN(struct desired, desired_free, desired_freep);

// A copy that shares nothing with it, to be used by another thread; not of a part. NULL: it was not
// finished.
struct desired *desired_dup(const struct desired *d);

// A view of `whole` that has the objects of the applications with `take` set, and only these: all
// applications keep their index, everything in it is borrowed, and `whole` must outlive it, without
// an application or an object more or less. Where an object is changed in place, desired_changed
// gives it back.
struct desired *desired_part(struct desired *whole, const bool *take, bool is_with_gone);
// Of a part: only the objects that are wanted stay in it.
void desired_part_keep(struct desired *part, bool (*wants)(void *ctx, const struct object *o),
                       void *ctx);
// Rules of ignoreDifferences for all applications (ignored_system; NULL: none), besides their own;
// of a part, for what it is a part of. *rules is referenced.
void desired_ignore(struct desired *d, json_t *rules);
// Is it about this application? Always, unless it is a part.
bool desired_takes(const struct desired *d, unsigned app);
// Everything that is desired: itself, or what it is a part of.
const struct desired *desired_whole(const struct desired *d);

// Takes the application; returns its index.
unsigned desired_add_app_take(struct desired *d, struct application *a);
// Takes the content of *o.
void desired_add_object_take(struct desired *d, struct object *o);
// Builds the index. One object of two applications belongs to the first when both say the same (a
// warning); else it is INVALID, naming both places.
MUST_CHECK bool desired_finish(struct desired *d, struct err *err);
// An object was changed in place and has another identity now: builds the index again.
void desired_changed(struct desired *d, unsigned object);
// The application has these objects in the place of those it had, of which there was at least one;
// no other has any of these identities. Takes their content. Not of a part, nor while there is one.
void desired_replace_take(struct desired *d, unsigned app, struct object *objects, size_t n);
// The object of that identity, or NULL; after desired_finish only. Borrowed. Of a hook that runs in
// several phases the first.
struct object *desired_find(const struct desired *d, const struct object_id *id);
// The indices of all objects of that identity, a hook's phases in their order; how many.
#define DESIRED_MAX_PHASES 4
size_t desired_find_all(const struct desired *d, const struct object_id *id,
                        unsigned out[DESIRED_MAX_PHASES]);
// -1 when there is none. As people name it: by its name, or by its tracking name.
int desired_find_app(const struct desired *d, const char *name);
// As records and marks in the cluster name it. Two namespaces may have an application "a" each.
int desired_tracked_app(const struct desired *d, const char *tracking_name);
// Is anything of this namespace, or the Namespace itself?
bool desired_has_namespace(const struct desired *d, const char *name);
// "root / cert-manager" style path is not needed: names are unique. Children of an application:
size_t desired_app_objects(const struct desired *d, unsigned app); // how many objects it owns
// Which these are, as indices in ascending order, and how many; borrowed. After desired_finish, of
// applications that were there then.
size_t desired_objects_of(const struct desired *d, unsigned app, const unsigned **objects);

#endif
