/* Counts the executed instructions of single calls of crydistill_step under QEMU with `-icount
 * shift=0`, with slices of the usual size. Prints "part number" per line: the most instructions of a
 * step that took samples, and of one that did not; how many windows there were, and in how many
 * slices of a network the last one was computed. */
#include <inttypes.h>
#include <stdio.h>

#include "crydistill.h"
#include "crydistill_model.h"
#include "machine.h"

enum { PIECE = 160, RING = 512, PIECES = 150 };

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static int8_t backlog[CRYDISTILL_BACKLOG_BYTES];
static int16_t samples[RING];
static struct crydistill_ring ring;
static struct crydistill ear;
static uint32_t windows, slices, slices_of_last;

static void note(void *context, const struct crydistill_window *window)
{
    (void)context;
    (void)window;
    windows++;
    slices_of_last = slices;
    slices = 0;
}

/* Whether there was anything to do. most: instructions, with samples and without */
static bool step(uint32_t most[2])
{
    bool idle = true;
    const uint32_t read = ring.read, since = machine_clock();
    crydistill_step(&ear, &ring, &idle);
    const uint32_t instructions = machine_instructions(since, machine_clock());
    uint32_t *const largest = most + (ring.read == read ? 1 : 0);
    *largest = instructions > *largest ? instructions : *largest;
    slices += ring.read == read && !idle ? 1 : 0;
    return !idle;
}

static void play_piece(uint32_t *state)
{
    int16_t pcm[PIECE];
    for (int i = 0; i < PIECE; i++) {
        *state = *state * 1664525u + 1013904223u;
        pcm[i] = (int16_t)(*state >> 18);
    }
    crydistill_ring_write(&ring, pcm, PIECE);
}

int main(void)
{
    const struct crydistill_settings settings = {0.5f, 5, 9, 10000};
    const struct crydistill_config config = {.model = &crydistill_student,
                                             .settings = &settings,
                                             .arena = arena,
                                             .arena_bytes = sizeof arena,
                                             .listener = note,
                                             .backlog = backlog};
    if (crydistill_init(&ear, &config) != CRYDISTILL_OK ||
        crydistill_ring_init(&ring, samples, RING) != CRYDISTILL_OK) {
        return 1;
    }
    uint32_t state = 1, most[2] = {0, 0};
    machine_start_clock();
    for (int piece = 0; piece < PIECES; piece++) {
        play_piece(&state);
        while (step(most)) {
        }
    }
    printf("frame %" PRIu32 "\nslice %" PRIu32 "\nwindows %" PRIu32 "\nslices %" PRIu32 "\n",
           most[0], most[1], windows, slices_of_last);
    return 0;
}
