/* A microphone for a computer: raw samples on standard input, as `arecord` writes them. On a board, put
 * the driver of yours here. */
#ifndef MICROPHONE_H
#define MICROPHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Wait for n samples, 16 kHz, 16 bits, mono; false at the end of the sound. */
static inline bool microphone_read(int16_t *pcm, size_t n)
{
    return fread(pcm, sizeof *pcm, n, stdin) == n;
}

#endif
