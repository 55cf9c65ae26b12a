/* Counts executed instructions under qemu: `-icount shift=0` lets one instruction take 1 ns, and
 * SysTick counts at 25 MHz, so a tick is 40 instructions. Prints "part instructions" per line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crydistill.h"
#include "crydistill_model.h"

enum { TICK_INSTRUCTIONS = 40, TICKS = 1 << 24, VOTES = 1000 };

static volatile uint32_t *const systick = (uint32_t *)0xE000E010u; /* control, reload, value */

static int8_t arena[CRYDISTILL_ARENA_BYTES];
static int8_t patch[CRYDISTILL_PATCH_SIZE];
static int16_t second[CRYDISTILL_SAMPLE_RATE];
static struct crydistill ear;

static void noise(void)
{
    uint32_t state = 1;
    for (int i = 0; i < CRYDISTILL_SAMPLE_RATE; i++) {
        state = state * 1664525u + 1013904223u;
        second[i] = (int16_t)(state >> 18);
    }
    for (int i = 0; i < CRYDISTILL_PATCH_SIZE; i++) {
        patch[i] = (int8_t)(second[i] >> 6);
    }
}

static uint32_t now(void)
{
    return TICKS - 1 - systick[2];
}

static void report(const char *part, uint32_t since, uint32_t times)
{
    const uint32_t ticks = (now() - since) & (TICKS - 1);
    printf("%s %" PRIu32 "\n", part, (uint32_t)((uint64_t)ticks * TICK_INSTRUCTIONS / times));
}

static void one_second_of_frames(void)
{
    float frame[CRYDISTILL_MEL_BANDS];
    bool complete;
    const int16_t *pcm = second;
    for (size_t n = CRYDISTILL_SAMPLE_RATE, taken; n > 0; pcm += taken, n -= taken) {
        taken = crydistill_mel_push(&ear.mel, pcm, n, frame, &complete);
        if (complete) {
            crydistill_quantize(&crydistill_model, frame, ear.patch);
        }
    }
}

int main(void)
{
    const struct crydistill_settings settings = {0.5f, 5, 9, 10000};
    if (!crydistill_init(&ear, &crydistill_model, NULL, &settings, arena, sizeof arena)) {
        return 1;
    }
    noise();
    systick[1] = TICKS - 1;
    systick[2] = 0;
    systick[0] = 5; /* on, at the processor's clock */

    one_second_of_frames(); /* so that the next second's frames begin at its start */
    uint32_t since = now();
    one_second_of_frames();
    report("front_end_per_second", since, 1);

    since = now();
    const int8_t *logits = crydistill_model.run(crydistill_model.kernels, patch, arena);
    report("network_per_window", since, 1);

    since = now();
    const float score = crydistill_score(&crydistill_model, logits);
    report("score_per_window", since, 1);

    since = now();
    for (int i = 0; i < VOTES; i++) {
        crydistill_detector_push(&ear.detector, i % 20 < 7 ? 1.0f : score);
    }
    report("vote_per_window", since, VOTES);
    return 0;
}
