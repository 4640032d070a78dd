// SPDX-License-Identifier: Apache-2.0
//
// The only place where compiler extensions are named.
//
// CLEANUP(fn) frees a variable at the end of its scope; such a variable is always initialised
// where it is declared. TAKE(p) hands a pointer over and leaves NULL behind, so that the cleanup
// has nothing to do:
//
//     CLEANUP(str_freep) char *path = str_printf("%s/lock", dir);
//     return TAKE(path);
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))

#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

// Declares `void name(T **p)`, the CLEANUP form of `void fn(T *)`.
#define CLEANUP_FN(T, fn, name)                                                                    \
    static inline void name(T **p)                                                                 \
    {                                                                                              \
        fn(*p);                                                                                    \
        *p = NULL;                                                                                 \
    }                                                                                              \
    struct swallow_semicolon_

#endif
