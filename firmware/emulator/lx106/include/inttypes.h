/* The part of libc's <inttypes.h> that the test programs use. */
#ifndef INTTYPES_H
#define INTTYPES_H

#include <stdint.h>

#define PRId32 "ld"
#define PRIu32 "lu"
#define PRIx32 "lx"

#endif
