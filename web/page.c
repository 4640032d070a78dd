// SPDX-License-Identifier: Apache-2.0
//
// The status page: static, and the same for everybody. What it shows it asks of the API.
#include "web/web_int.h"

#define INCLUDE(symbol, file)                                                                      \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global " #symbol "\n" #symbol ":\n"                                                  \
            ".incbin \"" file "\"\n"                                                               \
            ".global " #symbol "_end\n" #symbol "_end:\n"                                          \
            ".byte 0\n"                                                                            \
            ".popsection\n")
INCLUDE(regrow_page_html, "web/page.html");
INCLUDE(regrow_page_css, "web/page.css");
INCLUDE(regrow_page_js, "web/page.js");
extern const char regrow_page_html[], regrow_page_html_end[];
extern const char regrow_page_css[], regrow_page_css_end[];
extern const char regrow_page_js[], regrow_page_js_end[];

void page_answer_root(struct ask *a)
{
    web_respond_static(a, "text/html; charset=utf-8", regrow_page_html,
                       (size_t)(regrow_page_html_end - regrow_page_html));
}

void page_answer_css(struct ask *a)
{
    web_respond_static(a, "text/css; charset=utf-8", regrow_page_css,
                       (size_t)(regrow_page_css_end - regrow_page_css));
}

void page_answer_js(struct ask *a)
{
    web_respond_static(a, "text/javascript; charset=utf-8", regrow_page_js,
                       (size_t)(regrow_page_js_end - regrow_page_js));
}
