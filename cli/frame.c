// SPDX-License-Identifier: Apache-2.0
#include "cli/frame.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool frame_is_live(const struct cli *c)
{
    const char *term = getenv("TERM");
    return c->o.output == OUT_TEXT && isatty(STDOUT_FILENO) && !c->o.no_progress && !c->o.quiet &&
           !(term && !strcmp(term, "dumb"));
}

// Terminals break lines anew when they become narrower: more rows are ours than lines.
static int rows_drawn(const struct frame *f, int cols)
{
    int rows = 0;
    for (int i = 0; i < f->drawn; i++)
        rows += cols < f->cols && f->widths[i] > cols ? (f->widths[i] + cols - 1) / cols : 1;
    return rows;
}

void frame_erase(struct frame *f)
{
    int rows;
    int cols;
    screen_size(stdout, &rows, &cols);
    if (f->drawn)
        printf("\033[%dA\r\033[J", rows_drawn(f, cols));
    f->drawn = 0;
}

void frame_begin(struct frame *f, int cols)
{
    buf_reset(&f->text);
    if (f->drawn)
        buf_printf(&f->text, "\033[%dA\r", rows_drawn(f, cols));
    f->drawn = 0;
    f->cols = cols;
}

void frame_line(struct frame *f, const char *head, int width, const char *text)
{
    CLEANUP(str_freep) char *shown = clean(text);
    CLEANUP(str_freep) char *line = fit(shown, f->cols - 1 - width);
    buf_printf(&f->text, "%s%s\033[K\n", head, line);
    if (f->drawn < FRAME_MAX_ROWS)
        f->widths[f->drawn++] = width + display_width(line);
}

void frame_end(struct frame *f)
{
    buf_str(&f->text, "\033[J");
    fwrite(f->text.p, 1, f->text.len, stdout);
    fflush(stdout);
    f->drawn_ms = clock_mono_ms();
}

void frame_clear(struct frame *f)
{
    buf_clear(&f->text);
    f->drawn = 0;
}

const char *frame_spinner(void)
{
    static const char *const steps[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    return steps[clock_mono_ms() / FRAME_MS % (int64_t)ARRAY_LEN(steps)];
}
