// SPDX-License-Identifier: Apache-2.0
//
// A typed growing array: VEC(struct edge) edges = {0}; *vec_push(&edges) = e; the elements are
// edges.v[0 .. edges.len). vec_push returns a pointer to a new, zeroed last element, valid until
// the next push. Elements are plain values; whoever owns their content frees it before vec_clear.
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <string.h>

#include "base/str.h"

#define VEC(T)                                                                                     \
    struct {                                                                                       \
        T *v;                                                                                      \
        size_t len;                                                                                \
        size_t cap;                                                                                \
    }

#define vec_reserve(a, n)                                                                          \
    do {                                                                                           \
        if ((a)->cap < (n)) {                                                                      \
            size_t want_ = (a)->cap ? (a)->cap * 2 : 8;                                            \
            (a)->cap = want_ < (n) ? (n) : want_;                                                  \
            (a)->v = mem_realloc((a)->v, (a)->cap, sizeof(*(a)->v));                               \
        }                                                                                          \
    } while (0)

#define vec_push(a)                                                                                \
    __extension__({                                                                                \
        vec_reserve((a), (a)->len + 1);                                                            \
        memset(&(a)->v[(a)->len], 0, sizeof(*(a)->v));                                             \
        &(a)->v[(a)->len++];                                                                       \
    })

#define vec_clear(a)                                                                               \
    do {                                                                                           \
        free((a)->v);                                                                              \
        (a)->v = NULL;                                                                             \
        (a)->len = (a)->cap = 0;                                                                   \
    } while (0)

#endif
