/* libFuzzer target at the PCM boundary: any settings and samples, in blocks of any size.
 *
 *     make MODEL=... BUILD=... fuzz && BUILD/fuzz -max_total_time=60
 *
 * The input is ten bytes of settings, one byte that seeds the block sizes and whether there are gaps,
 * and samples, which are repeated until two windows are full. */
#include <stdlib.h>
#include <string.h>

#include "crydistill.h"
#include "crydistill_model.h"

enum { SETTINGS_BYTES = 10, LARGEST_PIECE = 2048, SAMPLES = 23280, WITH_GAPS = 128 };
enum { HOP = CRYDISTILL_WINDOW_HOP_FRAMES * CRYDISTILL_FRAME_HOP };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static struct crydistill ear;

/* Invariants of every window. */
static void check(void *context, const struct crydistill_window *window)
{
    uint32_t *windows = context;
    const bool finite = window->score >= 0.0f && window->score <= (float)CRYDISTILL_OUTPUTS;
    const bool heard = window->patch != NULL && window->logits != NULL;
    if (heard != finite || window->index != (*windows)++ || window->onset > window->index) {
        abort();
    }
}

static void require_ok(enum crydistill_error error)
{
    if (error != CRYDISTILL_OK) {
        abort();
    }
}

/* Each block is allocated separately, so that the address sanitizer detects reads beyond it. */
static void push_piece(const uint8_t *bytes, size_t count, size_t at, size_t n)
{
    int16_t *piece = malloc(n > 0 ? n * sizeof *piece : 1);
    if (piece == NULL) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(piece + i, bytes + (at + i) % count * sizeof *piece, sizeof *piece);
    }
    require_ok(crydistill_push(&ear, piece, n));
    free(piece);
}

/* The next window never starts in the future, nor is it overdue; after a gap it is less than a hop
 * later. */
static void push_all(uint32_t seed, const uint8_t *samples, size_t count, const uint32_t *windows)
{
    const bool with_gaps = seed >= WITH_GAPS;
    size_t lost = 0;
    for (size_t at = 0, n; at < SAMPLES; at += n) {
        seed = seed * 1664525u + 1013904223u;
        n = (seed >> 16) % LARGEST_PIECE;
        n = n < SAMPLES - at ? n : SAMPLES - at;
        push_piece(samples, count, at, n);
        if (with_gaps && seed >> 29 == 0) {
            require_ok(crydistill_gap(&ear, seed >> 8 & UINT16_MAX));
            lost += seed >> 8 & UINT16_MAX;
        }
        const size_t time = at + n + lost, start = (size_t)*windows * HOP;
        if (start > time || time - start >= SAMPLES) {
            abort();
        }
    }
    if (!with_gaps && *windows != 2) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SETTINGS_BYTES + 1 + sizeof(int16_t)) {
        return 0;
    }
    uint32_t windows = 0;
    const struct crydistill_settings usual = {0.5f, 1, 2, 0};
    struct crydistill_settings settings = {.n = data[4], .m = data[5]};
    memcpy(&settings.threshold, data, sizeof settings.threshold);
    memcpy(&settings.hold_ms, data + 6, sizeof settings.hold_ms);
    struct crydistill_config config = {.model = &crydistill_student,
                                       .settings = &settings,
                                       .arena = arena,
                                       .arena_bytes = sizeof arena,
                                       .listener = check,
                                       .context = &windows};
    const enum crydistill_error error = crydistill_init(&ear, &config);
    if (error != CRYDISTILL_OK) {
        config.settings = &usual;
        require_ok(crydistill_init(&ear, &config));
    }
    if (crydistill_set_settings(&ear, &settings) != error) {
        abort();
    }
    push_all(data[SETTINGS_BYTES], data + SETTINGS_BYTES + 1,
             (size - SETTINGS_BYTES - 1) / sizeof(int16_t), &windows);
    return 0;
}
