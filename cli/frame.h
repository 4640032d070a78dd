// SPDX-License-Identifier: Apache-2.0
//
// A few lines at the end of a terminal that are drawn again and again in the same place, at once,
// so that nothing flickers. Never more than the screen has; whoever draws sees to that. A zeroed
// struct has drawn nothing; frame_clear when it is over.
#ifndef CLI_FRAME_H
#define CLI_FRAME_H

#include "cli/cli.h"

#define FRAME_MS 120       // between two drawings of what moves
#define FRAME_MAX_ROWS 300 // lines of a frame

struct frame {
    int drawn, cols;            // lines on the screen that are ours, and its width then
    int widths[FRAME_MAX_ROWS]; // of these lines
    struct buf text;            // written at once
    int64_t drawn_ms;
};

// Is standard output where something can be drawn again, and are options for it?
bool frame_is_live(const struct cli *c);
void frame_begin(struct frame *f, int cols);
// head may hold colours and is `width` columns wide; text is cut to what is left.
void frame_line(struct frame *f, const char *head, int width, const char *text);
void frame_end(struct frame *f);
void frame_erase(struct frame *f); // what comes next is printed in its place
void frame_clear(struct frame *f);
const char *frame_spinner(void);

#endif
