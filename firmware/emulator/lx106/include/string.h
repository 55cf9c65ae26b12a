/* The part of libc's <string.h> that the library and its test programs use. */
#ifndef STRING_H
#define STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int strcmp(const char *a, const char *b);

#endif
