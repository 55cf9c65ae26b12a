/* Samples from an interrupt or a task that must not wait, for crydistill_step elsewhere.
 *
 *     static int16_t samples[1024];
 *     static struct crydistill_ring ring;
 *
 *     crydistill_ring_init(&ring, samples, 1024);    before the interrupt is enabled
 *     crydistill_ring_write(&ring, pcm, n);          in the interrupt
 *     crydistill_step(&ear, &ring, &idle);           in the main loop
 *
 * One side writes, one reads; neither waits for the other nor locks it out. What does not fit is lost,
 * and so is all that follows until the reader has emptied the ring and knows of the gap: one long gap
 * costs a listener less than many short ones. No sample is lost without being counted. */
#ifndef CRYDISTILL_RING_H
#define CRYDISTILL_RING_H

#include <stddef.h>
#include <stdint.h>

#include "crydistill_error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Use the functions below. All 0, it has no room: what is written before crydistill_ring_init is
 * lost. */
struct crydistill_ring {
    int16_t *samples;
    uint32_t room; /* how many samples it holds, one less than there is memory for */
    uint32_t written, lost; /* the writer's: where the next sample goes; how many found no room */
    uint32_t read, told;    /* the reader's: where the next one is; of the lost, those it knows of */
};

/* Before either side uses it: an empty ring, which holds one sample less than `size`. It needs room
 * for what comes between two calls of crydistill_step. Error: CRYDISTILL_ERROR_RING. */
CRYDISTILL_MUST_CHECK
enum crydistill_error crydistill_ring_init(struct crydistill_ring *ring, int16_t *samples,
                                           uint32_t size);

/* The writer: the next n samples. */
void crydistill_ring_write(struct crydistill_ring *ring, const int16_t *pcm, uint32_t n);

/* The writer: n samples are missing here that it never got, as when a driver dropped a buffer; at
 * least 1. */
void crydistill_ring_gap(struct crydistill_ring *ring, uint32_t n);

/* Anyone: how many samples have been lost in all, modulo 2^32. */
uint32_t crydistill_ring_lost(const struct crydistill_ring *ring);

/* The reader, as crydistill_step is: the oldest samples, as many as lie in one piece, and their
 * number. They stay in place until crydistill_ring_drop. */
const int16_t *crydistill_ring_peek(const struct crydistill_ring *ring, uint32_t *n);

/* The reader: make room, n samples were used. */
void crydistill_ring_drop(struct crydistill_ring *ring, uint32_t n);

/* The reader: how many samples are missing after those in the ring. 0 as long as there are any, or
 * if none is missing. They count as reported then. */
uint32_t crydistill_ring_take_gap(struct crydistill_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
