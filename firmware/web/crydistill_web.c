/* The library in WebAssembly: one listener, whose student arrives as data (crydistill_web.h), and one
 * detector for scores that are kept. What it tells the page goes through two imported functions.
 *
 * Freestanding: memcpy, memmove and memset, which become single instructions, are here, too. */
#include "crydistill_web.h"

#include <string.h>

#define IMPORT(name) __attribute__((import_module("page"), import_name(#name)))

enum {
    PIECE = CRYDISTILL_FRAME_HOP, /* completes one frame at most */
    PCM_SAMPLES = 4096
};

/* The page hears of each frame, as the network gets it, and of each window's score: NaN if it was lost
 * in a gap. */
IMPORT(frame) void page_frame(const int8_t *steps);
IMPORT(window) void page_window(float score);

/* The listener votes with these and nobody asks: the page votes anew on the scores that it has kept
 * whenever somebody changes the settings. */
static const struct crydistill_settings ANY = {.threshold = 0.5f, .n = 1, .m = 1};

void *memcpy(void *to, const void *from, size_t n)
{
    return __builtin_memcpy(to, from, n);
}

void *memmove(void *to, const void *from, size_t n)
{
    return __builtin_memmove(to, from, n);
}

void *memset(void *to, int value, size_t n)
{
    return __builtin_memset(to, value, n);
}

static const struct crydistill_kernels kernels = {
    .conv_2d = crydistill_conv_2d,
    .depthwise_conv_2d = crydistill_depthwise_conv_2d,
    .fully_connected = crydistill_fully_connected,
    .mean = crydistill_mean_2d,
    .average_pool_2d = crydistill_average_pool_2d,
    .add = crydistill_add_int8,
    .pad = crydistill_pad_2d,
    .concatenation = crydistill_concatenate,
    .strided_slice = crydistill_slice,
};

static struct crydistill_web_image *image;
static int8_t *arena;
static struct crydistill ear;
static struct crydistill_detector detector;
static int16_t pcm[PCM_SAMPLES];

static const int8_t *run(const struct crydistill_kernels *table, const int8_t *patch, int8_t *work)
{
    const struct crydistill_model *model = &image->model;
    crydistill_run(model->calls, model->call_count, table, patch, work);
    return work + model->logits;
}

static void tell(void *context, const struct crydistill_window *window)
{
    (void)context;
    page_window(window->score);
}

static struct crydistill_config config_of_image(void)
{
    const struct crydistill_config config = {.model = &image->model,
                                             .settings = &ANY,
                                             .arena = arena,
                                             .arena_bytes = image->model.arena_bytes,
                                             .listener = tell};
    return config;
}

/* NULL, or what is wrong. */
static const char *text_of(enum crydistill_error error)
{
    return error == CRYDISTILL_OK ? NULL : crydistill_error_text(error);
}

uint32_t crydistill_web_load(struct crydistill_web_image *at)
{
    if (at->version != CRYDISTILL_FORMAT_VERSION) {
        return 0;
    }
    const uint32_t base = (uint32_t)at;
    const uint32_t *pointers = (const uint32_t *)(base + (uint32_t)at->pointers);
    for (uint32_t i = 0; i < at->pointer_count; i++) {
        *(uint32_t *)(base + pointers[i]) += base;
    }
    at->model.run = run;
    at->model.kernels = &kernels;
    image = at;
    return at->model.arena_bytes;
}

const char *crydistill_web_start(int8_t *work)
{
    arena = work;
    const struct crydistill_config config = config_of_image();
    return text_of(crydistill_init(&ear, &config));
}

const char *crydistill_web_selftest(void)
{
    const struct crydistill_config config = config_of_image();
    return crydistill_selftest_text(crydistill_selftest(&ear, &config, &image->golden));
}

int16_t *crydistill_web_samples(void)
{
    return pcm;
}

uint32_t crydistill_web_capacity(void)
{
    return PCM_SAMPLES;
}

const char *crydistill_web_push(uint32_t n)
{
    enum crydistill_error error = CRYDISTILL_OK;
    for (uint32_t at = 0, taken; at < n && error == CRYDISTILL_OK; at += taken) {
        const uint16_t frames = ear.frames;
        taken = n - at < PIECE ? n - at : PIECE;
        error = crydistill_push(&ear, pcm + at, taken);
        /* The number changes with every frame: a full patch is followed by half a one. */
        if (ear.frames != frames) {
            page_frame(ear.patch + (ear.frames - 1) * CRYDISTILL_MEL_BANDS);
        }
    }
    return text_of(error);
}

const char *crydistill_web_gap(uint32_t n)
{
    return text_of(crydistill_gap(&ear, n));
}

const char *crydistill_web_vote_start(float threshold, uint32_t n, uint32_t m, uint32_t hold_ms)
{
    /* What does not fit is as wrong as what the library refuses. */
    const struct crydistill_settings settings = {threshold, n > UINT8_MAX ? 0 : (uint8_t)n,
                                                 m > UINT8_MAX ? 0 : (uint8_t)m, hold_ms};
    return text_of(crydistill_detector_init(&detector, &settings));
}

int32_t crydistill_web_vote(float score)
{
    return (int32_t)crydistill_detector_push(&detector, score);
}

uint32_t crydistill_web_vote_onset(void)
{
    return detector.onset;
}
