/* Audio in, alerts out: front end, network and detector in one.
 *
 *     static int8_t arena[CRYDISTILL_ARENA_BYTES];
 *     static struct crydistill ear;
 *
 *     crydistill_init(&ear, &crydistill_model, NULL, &crydistill_preset_balanced, arena,
 *                     sizeof arena);
 *     while (microphone_read(pcm, n)) {
 *         crydistill_push(&ear, pcm, n, on_window, NULL);
 *     }
 *
 * Where samples were lost, call crydistill_gap before the next push.
 *
 * Nothing is allocated and nothing is global: each `struct crydistill` with its arena is a listener
 * of its own. The arena is the listener's between calls, too: a student with memory keeps in it what
 * it has heard. Needs libc's memcpy, memmove and memset, and libm's sqrtf, logf and rintf unless
 * compiled with CRYDISTILL_FIXED_POINT. */
#ifndef CRYDISTILL_H
#define CRYDISTILL_H

#include "crydistill_detector.h"
#include "crydistill_engine.h"
#include "crydistill_mel.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CRYDISTILL_PATCH_SIZE = CRYDISTILL_WINDOW_FRAMES * CRYDISTILL_MEL_BANDS };

/* One window of 0.975 s, every 0.48 s. Patch and logits may be read until the listener returns. A
 * window that was lost in a gap has none: both are NULL, and its score is NaN.
 * index: window i covers the audio from 0.48 i to 0.48 i + 0.975 seconds
 * onset: the alert's first vote; it counts with CRYDISTILL_ON and CRYDISTILL_OFF */
struct crydistill_window {
    uint32_t index;
    float score;
    enum crydistill_event event;
    uint32_t onset;
    const int8_t *patch;
    const int8_t *logits;
};

typedef void crydistill_listener(void *context, const struct crydistill_window *window);

struct crydistill {
    const struct crydistill_model *model;
    const struct crydistill_kernels *kernels;
    int8_t *arena;
    struct crydistill_mel mel;
    struct crydistill_detector detector;
    int8_t patch[CRYDISTILL_PATCH_SIZE];
    uint16_t frames;   /* of the patch that is being filled */
    uint32_t position; /* in the audio, in samples since the start of the next window */
};

/* Start listening, with nothing heard. `kernels` NULL: the model's own. False if a setting is out of
 * its range or the arena is smaller than the model's arena_bytes. */
bool crydistill_init(struct crydistill *self, const struct crydistill_model *model,
                     const struct crydistill_kernels *kernels,
                     const struct crydistill_settings *settings, int8_t *arena,
                     size_t arena_bytes);

/* Take the next n samples, any n; call the listener for each window they complete. */
void crydistill_push(struct crydistill *self, const int16_t *pcm, size_t n,
                     crydistill_listener *listener, void *context);

/* Between two pushes n samples were lost; 0 if it is not known how many. What was heard before is
 * forgotten: no window spans the gap, and the memory of a student with memory is empty again. The
 * vote goes on: the listener is called for the windows that were lost, none of which votes, so that
 * an alert ends in time and later windows have the right index. The next window comes 0.975 s after
 * the gap. */
void crydistill_gap(struct crydistill *self, uint32_t n, crydistill_listener *listener,
                    void *context);

/* Empty the memory at the start of the arena, for programs that call the model's `run` themselves;
 * crydistill_init and crydistill_gap do it. */
void crydistill_forget(const struct crydistill_model *model, int8_t *arena);

/* A log-mel frame as the network's int8 steps. */
void crydistill_quantize(const struct crydistill_model *model,
                         const crydistill_level frame[CRYDISTILL_MEL_BANDS],
                         int8_t steps[CRYDISTILL_MEL_BANDS]);

/* The cry score of a window's logits. */
float crydistill_score(const struct crydistill_model *model, const int8_t *logits);

#ifdef __cplusplus
}
#endif
#endif
