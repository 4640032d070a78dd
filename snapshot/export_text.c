// SPDX-License-Identifier: Apache-2.0
//
// Files that go into every export as they are, kept as files of their own so that they can be read
// and tested as what they are.
#include "snapshot/export_int.h"

#define INCLUDE(symbol, file)                                                                      \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global " #symbol "\n" #symbol ":\n"                                                  \
            ".incbin \"" file "\"\n"                                                               \
            ".global " #symbol "_end\n" #symbol "_end:\n"                                          \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char symbol[], symbol##_end[]

INCLUDE(regrow_restore_sh, "snapshot/restore.sh");
INCLUDE(regrow_restore_md, "snapshot/restore.md");

struct export_text export_restore_sh(void)
{
    return (struct export_text){regrow_restore_sh,
                                (size_t)(regrow_restore_sh_end - regrow_restore_sh)};
}

struct export_text export_restore_md(void)
{
    return (struct export_text){regrow_restore_md,
                                (size_t)(regrow_restore_md_end - regrow_restore_md)};
}
