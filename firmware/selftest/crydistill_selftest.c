#include "crydistill_selftest.h"

enum { PIECE = 160, BURST = 8000, TONE_SHIFT = 18, HISS_SHIFT = 23 };
enum { MOST_OTHER_STEPS = CRYDISTILL_PATCH_SIZE / 100 };

struct progress {
    const struct crydistill_golden *golden;
    uint32_t windows, events;
    bool patch_differs, events_differ;
};

void crydistill_babble_init(struct crydistill_babble *babble)
{
    *babble = (struct crydistill_babble){.noise = 1};
}

static uint32_t next_noise(struct crydistill_babble *babble)
{
    babble->noise = babble->noise * 1664525u + 1013904223u;
    return babble->noise;
}

int16_t crydistill_babble_next(struct crydistill_babble *babble)
{
    if (babble->sample++ % BURST == 0) {
        /* 250 to 750 Hz, gliding by up to 250 Hz in a burst; every third burst is hiss alone. */
        const bool silent = (babble->sample / BURST) % 3 == 2;
        babble->step = silent ? 0 : 67108864u + (next_noise(babble) >> 5);
        babble->glide = next_noise(babble) >> 19;
    }
    babble->step += babble->step == 0 ? 0 : babble->glide;
    babble->phase += babble->step;
    const int32_t tone = (int32_t)(babble->phase >> TONE_SHIFT) - (1 << (31 - TONE_SHIFT));
    const int32_t hiss =
        (int32_t)(next_noise(babble) >> HISS_SHIFT) - (1 << (31 - HISS_SHIFT));
    return (int16_t)((babble->step == 0 ? 0 : tone) + hiss);
}

/* Steps apart by more than one, or too many apart at all. */
static bool differ(const int8_t *found, const int8_t *golden, int32_t n, int32_t most_other)
{
    int32_t other = 0;
    for (int32_t i = 0; i < n; i++) {
        const int distance = found[i] < golden[i] ? golden[i] - found[i] : found[i] - golden[i];
        if (distance > 1) {
            return true;
        }
        other += distance;
    }
    return other > most_other;
}

static void take_window(void *context, const struct crydistill_window *window)
{
    struct progress *progress = context;
    const struct crydistill_golden *golden = progress->golden;
    progress->windows++;
    if (window->index == golden->probe) {
        progress->patch_differs =
            differ(window->patch, golden->patch, CRYDISTILL_PATCH_SIZE, MOST_OTHER_STEPS);
    }
    if (window->event == CRYDISTILL_NONE) {
        return;
    }
    const struct crydistill_golden_event *expected = golden->events + progress->events++;
    if (progress->events > golden->event_count || expected->window != window->index ||
        expected->event != window->event || expected->onset != window->onset) {
        progress->events_differ = true;
    }
}

enum crydistill_selftest_result
crydistill_selftest(struct crydistill *ear, const struct crydistill_model *model,
                    const struct crydistill_kernels *kernels,
                    const struct crydistill_golden *golden, int8_t *arena, size_t arena_bytes)
{
    struct progress progress = {.golden = golden};
    struct crydistill_babble babble;
    int16_t pcm[PIECE];
    if (!crydistill_init(ear, model, kernels, &golden->settings, arena, arena_bytes)) {
        return CRYDISTILL_SELFTEST_SETTINGS;
    }
    crydistill_babble_init(&babble);
    while (progress.windows < golden->windows) {
        for (int i = 0; i < PIECE; i++) {
            pcm[i] = crydistill_babble_next(&babble);
        }
        crydistill_push(ear, pcm, PIECE, take_window, &progress);
    }
    if (progress.patch_differs) {
        return CRYDISTILL_SELFTEST_FRONT_END;
    }
    const int8_t *logits = model->run(ear->kernels, golden->patch, arena);
    if (differ(logits, golden->logits, model->outputs, model->outputs)) {
        return CRYDISTILL_SELFTEST_NETWORK;
    }
    const bool missed = progress.events != golden->event_count;
    return missed || progress.events_differ ? CRYDISTILL_SELFTEST_DETECTOR
                                            : CRYDISTILL_SELFTEST_PASSED;
}
