// SPDX-License-Identifier: Apache-2.0
//
// Tables and trees, drawn by libsmartcols. On a terminal the last column is wrapped between words
// into what is left of the width; in a pipe every row is one line.
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "cli/cli.h"

#define GAP 2
#define MAX_COLUMNS 8
#define MIN_LAST 30 // of the last column, before names are shortened
#define MIN_NAME 12
#define TREE_STEP 2 // columns of "├─"; a blank more stands before the name

struct row {
    struct libscols_line *line;
    int depth;
    char *last; // cell of the last column
};

struct table {
    struct libscols_table *t;
    struct libscols_symbols *symbols;
    unsigned flags[MAX_COLUMNS];
    int widths[MAX_COLUMNS]; // of the widest cell
    size_t n_columns;
    VEC(struct row) rows;
    bool has_head;
    int indent;
};

struct table *table_new(const struct cli *c, bool has_head, int indent)
{
    struct table *t = mem_alloc(sizeof(*t));
    t->t = scols_new_table();
    t->symbols = scols_new_symbols();
    if (!t->t || !t->symbols)
        abort(); // no memory
    t->has_head = has_head;
    t->indent = indent;
    scols_symbols_set_branch(t->symbols, "├─");
    scols_symbols_set_right(t->symbols, "└─");
    scols_symbols_set_vertical(t->symbols, "│ ");
    CLEANUP(str_freep) char *gap = str_printf("%*s", GAP, "");
    scols_table_set_column_separator(t->t, gap);
    scols_table_set_symbols(t->t, t->symbols);
    scols_table_enable_noheadings(t->t, !has_head);
    scols_table_enable_colors(t->t, c->color);
    return t;
}

void table_column(struct table *t, const char *name, unsigned flags)
{
    int f = (flags & TABLE_TREE ? SCOLS_FL_TREE : 0) | (flags & TABLE_RIGHT ? SCOLS_FL_RIGHT : 0);
    bool last = (flags & TABLE_WRAP) != 0;
    struct libscols_column *c =
        scols_table_new_column(t->t, t->has_head ? name : "", 0, f | (last ? SCOLS_FL_WRAP : 0));
    if (last) {
        scols_column_set_wrapfunc(c, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
        scols_column_set_safechars(c, "\n");
    }
    t->flags[t->n_columns] = flags;
    t->widths[t->n_columns++] = t->has_head ? display_width(name) : 0;
}

size_t table_row(struct table *t, int parent)
{
    struct libscols_line *up = parent < 0 ? NULL : t->rows.v[parent].line;
    int depth = parent < 0 ? 0 : t->rows.v[parent].depth + 1;
    struct row *r = vec_push(&t->rows);
    *r = (struct row){scols_table_new_line(t->t, up), depth, NULL};
    return t->rows.len - 1;
}

void table_cell(struct table *t, size_t row, size_t column, const char *color, const char *text)
{
    struct row *r = &t->rows.v[row];
    bool in_tree = t->flags[column] & TABLE_TREE && r->depth;
    CLEANUP(str_freep) char *cleaned = clean(text);
    CLEANUP(str_freep) char *shown = str_printf("%s%s", in_tree ? " " : "", cleaned);
    int w = display_width(shown) + (in_tree ? TREE_STEP * r->depth : 0);
    t->widths[column] = w > t->widths[column] ? w : t->widths[column];
    if (color)
        scols_cell_set_color(scols_line_get_cell(r->line, column), color);
    if (t->flags[column] & TABLE_WRAP)
        str_set(&r->last, shown);
    else
        scols_line_set_data(r->line, column, shown);
}

static void indent_lines(const char *text, int indent)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        size_t shown = n;
        while (shown && text[shown - 1] == ' ')
            shown--;
        printf("%*s%.*s\n", shown ? indent : 0, "", (int)shown, text);
        text += n + (text[n] == '\n');
    }
}

static int width_before_last(const struct table *t)
{
    int used = t->indent;
    for (size_t i = 0; i + 1 < t->n_columns; i++)
        used += t->widths[i] + GAP;
    return used;
}

// Long names in the first column leave room for what stands beside them.
static void shorten_names(struct table *t, int cols)
{
    int last = t->widths[t->n_columns - 1];
    int lacking = (last < MIN_LAST ? last : MIN_LAST) + 1 - (cols - width_before_last(t));
    int width = t->widths[0] - lacking;
    if (!cols || lacking <= 0 || t->widths[0] <= MIN_NAME ||
        !(t->flags[t->n_columns - 1] & TABLE_WRAP))
        return;
    t->widths[0] = width < MIN_NAME ? MIN_NAME : width;
    for (size_t i = 0; i < t->rows.len; i++) {
        const struct row *r = &t->rows.v[i];
        const char *name = scols_cell_get_data(scols_line_get_cell(r->line, 0));
        int prefix = t->flags[0] & TABLE_TREE ? TREE_STEP * r->depth : 0;
        int room = t->widths[0] - prefix;
        CLEANUP(str_freep) char *shown = fit(name ? name : "", room < MIN_NAME ? MIN_NAME : room);
        scols_line_set_data(r->line, 0, shown);
        int w = display_width(shown) + prefix; // deep in a tree it may be more
        t->widths[0] = w > t->widths[0] ? w : t->widths[0];
    }
}

void table_print(struct table *t)
{
    int rows;
    int cols;
    screen_size(stdout, &rows, &cols);
    shorten_names(t, cols);
    int used = width_before_last(t);
    for (size_t i = 0; i < t->rows.len; i++) {
        struct row *r = &t->rows.v[i];
        if (!r->last)
            continue;
        CLEANUP(str_freep) char *text = wrap_text(r->last, cols ? cols - 1 - used : 0);
        scols_line_set_data(r->line, t->n_columns - 1, text);
    }
    // Widths are settled by now: nothing is left for the library to cut.
    char *text = NULL;
    scols_table_set_termforce(t->t, SCOLS_TERMFORCE_NEVER);
    if (scols_print_table_to_string(t->t, &text) == 0 && text)
        indent_lines(text, t->indent);
    free(text);
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->rows.len; i++)
        free(t->rows.v[i].last);
    vec_clear(&t->rows);
    scols_unref_table(t->t);
    scols_unref_symbols(t->symbols);
    free(t);
}
