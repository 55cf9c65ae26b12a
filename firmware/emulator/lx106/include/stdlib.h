/* The part of libc's <stdlib.h> that the test programs use. */
#ifndef STDLIB_H
#define STDLIB_H

#include <stddef.h>

__attribute__((noreturn)) void exit(int status);
void *malloc(size_t n); /* one block at a time */
void free(void *block);
unsigned long strtoul(const char *text, char **end, int base); /* bases 10 and 16 */

#endif
