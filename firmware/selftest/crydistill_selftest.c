#include "crydistill_selftest.h"

#include <string.h>

enum { PIECE = 160, BURST = 8000, TONE_SHIFT = 18, HISS_SHIFT = 23 };
enum { MOST_OTHER_STEPS = CRYDISTILL_PATCH_SIZE / 100 };

struct progress {
    const struct crydistill_golden *golden;
    const struct crydistill_model *model;
    const int8_t *arena;
    uint32_t windows, events;
    bool patch_differs, memory_differs, events_differ;
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

/* A value apart by more than `most` steps. */
static bool differ(const int8_t *found, const int8_t *golden, size_t n, int most)
{
    for (size_t i = 0; i < n; i++) {
        if (found[i] - golden[i] > most || golden[i] - found[i] > most) {
            return true;
        }
    }
    return false;
}

static bool patches_differ(const int8_t *found, const int8_t *golden)
{
    int other = 0;
    for (int i = 0; i < CRYDISTILL_PATCH_SIZE; i++) {
        other += found[i] != golden[i];
    }
    return other > MOST_OTHER_STEPS || differ(found, golden, CRYDISTILL_PATCH_SIZE, 1);
}

/* From the golden memory and patch. */
static bool network_differs(const struct crydistill *ear, const struct crydistill_golden *golden,
                            int8_t *arena)
{
    const size_t memory_bytes = ear->model->memory_bytes;
    if (memory_bytes > 0) {
        memcpy(arena, golden->memory, memory_bytes);
    }
    const int8_t *logits = ear->model->run(ear->kernels, golden->patch, arena);
    return differ(logits, golden->logits, (size_t)ear->model->outputs, 1) ||
           differ(arena, golden->next_memory, memory_bytes, 1);
}

static void take_window(void *context, const struct crydistill_window *window)
{
    struct progress *progress = context;
    const struct crydistill_golden *golden = progress->golden;
    progress->windows++;
    if (window->index == golden->probe) {
        progress->patch_differs = patches_differ(window->patch, golden->patch);
        progress->memory_differs =
            differ(progress->arena, golden->next_memory, progress->model->memory_bytes, 2);
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

static void play(struct crydistill *ear, const struct progress *progress)
{
    const struct crydistill_golden *golden = progress->golden;
    struct crydistill_babble babble;
    int16_t pcm[PIECE];
    crydistill_babble_init(&babble);
    while (progress->windows < golden->windows) {
        for (int i = 0; i < PIECE; i++) {
            pcm[i] = crydistill_babble_next(&babble);
        }
        crydistill_push(ear, pcm, PIECE);
        if (progress->windows == golden->gap && golden->gap > 0) {
            crydistill_gap(ear, CRYDISTILL_SAMPLE_RATE);
        }
    }
}

enum crydistill_selftest_result crydistill_selftest(struct crydistill *ear,
                                                    const struct crydistill_config *config,
                                                    const struct crydistill_golden *golden)
{
    if (config == NULL) {
        return CRYDISTILL_SELFTEST_REFUSED;
    }
    struct progress progress = {
        .golden = golden, .model = config->model, .arena = config->arena};
    struct crydistill_config own = *config;
    own.settings = &golden->settings;
    own.listener = take_window;
    own.context = &progress;
    /* A window is expected in the push that completes it. */
    own.backlog = NULL;
    if (crydistill_init(ear, &own) != CRYDISTILL_OK) {
        return CRYDISTILL_SELFTEST_REFUSED;
    }
    play(ear, &progress);
    if (progress.patch_differs) {
        return CRYDISTILL_SELFTEST_FRONT_END;
    }
    if (network_differs(ear, golden, config->arena)) {
        return CRYDISTILL_SELFTEST_NETWORK;
    }
    if (progress.memory_differs) {
        return CRYDISTILL_SELFTEST_MEMORY;
    }
    const bool missed = progress.events != golden->event_count;
    return missed || progress.events_differ ? CRYDISTILL_SELFTEST_DETECTOR
                                            : CRYDISTILL_SELFTEST_PASSED;
}

const char *crydistill_selftest_text(enum crydistill_selftest_result result)
{
    switch (result) {
    case CRYDISTILL_SELFTEST_PASSED:
        return "passed";
    case CRYDISTILL_SELFTEST_REFUSED:
        return "failed: model, kernels or arena refused";
    case CRYDISTILL_SELFTEST_FRONT_END:
        return "failed: front end";
    case CRYDISTILL_SELFTEST_NETWORK:
        return "failed: network";
    case CRYDISTILL_SELFTEST_MEMORY:
        return "failed: memory";
    case CRYDISTILL_SELFTEST_DETECTOR:
        return "failed: detector";
    }
    return "no such result";
}
