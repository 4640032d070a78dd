// SPDX-License-Identifier: Apache-2.0
//
// Elements of metadata.managedFields[].fieldsV1 (spec kubernetes-api section 3.5): "f:name" a
// field, "k:{...}" a list item by its keys, "v:..." one by its value, "i:n" by its index, "." the
// thing itself.
#ifndef GITOPS_FIELDS_H
#define GITOPS_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

// The index of the list item that an element of "k:", "v:" or "i:" names; -1: there is none.
long fields_item(const json_t *list, const char *element);
// Does the element name this item, of that index?
bool fields_is_item(const json_t *item, size_t index, const char *element);
// Is the set one of something owned whole: nothing below it is told apart?
bool fields_is_leaf(const json_t *set);

#endif
