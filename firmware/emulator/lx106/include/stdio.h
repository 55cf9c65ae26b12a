/* The part of libc's <stdio.h> that the test programs use; printf: %s, %u, %d, %08x, with an l. */
#ifndef STDIO_H
#define STDIO_H

#include <stddef.h>

typedef struct file FILE;
extern FILE *const stdout, *const stderr;

FILE *fopen(const char *path, const char *mode); /* for reading, one at a time */
int fclose(FILE *file);
size_t fread(void *to, size_t size, size_t n, FILE *file);
size_t fwrite(const void *from, size_t size, size_t n, FILE *file);
char *fgets(char *line, int size, FILE *file);
int puts(const char *text);
int printf(const char *format, ...);
int fprintf(FILE *file, const char *format, ...);

#endif
