/* A ring between two threads. Sample number i has the value i, so that the reader knows of each what
 * must be missing in front of it.
 *
 *     ring_threads SIZE SAMPLES SEED   samples heard and samples lost */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "crydistill_ring.h"

enum { LARGEST_PIECE = 64, RARELY = 50 };

static struct crydistill_ring ring;
static uint32_t total, seed;
static bool finished; /* the writer */

static uint32_t draw(uint32_t *state, uint32_t end)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % end;
}

static void *write_all(void *unused)
{
    int16_t piece[LARGEST_PIECE];
    uint32_t state = seed;
    for (uint32_t at = 0; at < total;) {
        const uint32_t left = total - at, drawn = 1 + draw(&state, LARGEST_PIECE);
        const uint32_t n = drawn < left ? drawn : left;
        if (draw(&state, RARELY) == 0) {
            crydistill_ring_gap(&ring, n); /* these the writer itself did not get */
        } else {
            for (uint32_t i = 0; i < n; i++) {
                piece[i] = (int16_t)(at + i);
            }
            crydistill_ring_write(&ring, piece, n);
        }
        at += n;
        if (draw(&state, 4) == 0) {
            sched_yield();
        }
    }
    __atomic_store_n(&finished, true, __ATOMIC_RELEASE);
    return unused;
}

/* Whether samples come as they were written. */
static bool read_some(uint32_t *state, uint32_t *heard, uint32_t *told)
{
    uint32_t n;
    const int16_t *pcm = crydistill_ring_peek(&ring, &n);
    if (n == 0) {
        *told += crydistill_ring_take_gap(&ring);
        sched_yield();
        return true;
    }
    n = 1 + draw(state, n);
    for (uint32_t i = 0; i < n; i++) {
        if (pcm[i] != (int16_t)(*heard + *told)) {
            return false;
        }
        ++*heard;
    }
    crydistill_ring_drop(&ring, n);
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    const uint32_t size = (uint32_t)atoi(argv[1]);
    int16_t *samples = malloc(size * sizeof *samples);
    total = (uint32_t)atoi(argv[2]);
    seed = (uint32_t)atoi(argv[3]);
    pthread_t writer;
    if (crydistill_ring_init(&ring, samples, size) != CRYDISTILL_OK ||
        pthread_create(&writer, NULL, write_all, NULL) != 0) {
        return 2;
    }
    uint32_t state = seed + 1, heard = 0, told = 0;
    while (!__atomic_load_n(&finished, __ATOMIC_ACQUIRE) || heard + told < total) {
        if (!read_some(&state, &heard, &told)) {
            printf("sample %" PRIu32 " is another\n", heard + told);
            return 1;
        }
    }
    pthread_join(writer, NULL);
    printf("%" PRIu32 " %" PRIu32 "\n", heard, told);
    free(samples);
    return told == crydistill_ring_lost(&ring) ? 0 : 1;
}
