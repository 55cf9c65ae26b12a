/* Audio in, alerts out: front end, network and detector in one.
 *
 *     CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
 *     static struct crydistill ear;
 *
 *     const struct crydistill_config config = {
 *         .model = &crydistill_student,
 *         .settings = &CRYDISTILL_DEFAULT_PRESET,
 *         .arena = arena,
 *         .arena_bytes = sizeof arena,
 *         .listener = on_window,
 *     };
 *     const enum crydistill_error error = crydistill_init(&ear, &config);
 *     if (error != CRYDISTILL_OK) {
 *         puts(crydistill_error_text(error));
 *     }
 *     while (microphone_read(pcm, n)) {
 *         crydistill_push(&ear, pcm, n);
 *     }
 *
 * Where samples were lost, call crydistill_gap before the next push. Where nothing may wait for a
 * network, crydistill_step runs it in slices.
 *
 * Nothing is allocated and nothing is global: each `struct crydistill` with its arena is a listener
 * of its own. The arena is the listener's between calls, too: a student with memory keeps in it what
 * it has heard. All calls about one listener come from one task; samples reach it from elsewhere
 * through a ring (crydistill_ring.h). Needs libc's memcpy, memmove and
 * memset, and libm's sqrtf, logf and rintf unless compiled with CRYDISTILL_FIXED_POINT. */
#ifndef CRYDISTILL_H
#define CRYDISTILL_H

#include "crydistill_detector.h"
#include "crydistill_engine.h"
#include "crydistill_error.h"
#include "crydistill_mel.h"
#include "crydistill_ring.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CRYDISTILL_PATCH_SIZE = CRYDISTILL_WINDOW_FRAMES * CRYDISTILL_MEL_BANDS,
    /* Size of a config's backlog. */
    CRYDISTILL_BACKLOG_BYTES = CRYDISTILL_WINDOW_HOP_FRAMES * CRYDISTILL_MEL_BANDS,
    /* What crydistill_step does of a network at a time unless the config says otherwise, in
     * multiply-accumulates. */
    CRYDISTILL_SLICE = 65536
};

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

/* Called for every window. It may call crydistill_init, crydistill_reset and
 * crydistill_set_settings, but neither crydistill_push nor crydistill_gap nor crydistill_step. */
typedef void crydistill_listener(void *context, const struct crydistill_window *window);

/* What a listener is made of. Members that are left out are 0, and crydistill_init says which of
 * them must not be. Model, kernels and arena must last as long as the listener is used; config and
 * settings are copied.
 * kernels: NULL: the model's own
 * arena: aligned to CRYDISTILL_ALIGNMENT; at least the model's arena_bytes
 * context: handed to the listener as it is
 * backlog: NULL, or CRYDISTILL_BACKLOG_BYTES for what is heard while a network is at work: then
 *     crydistill_push returns without running it, and crydistill_step does a slice of it a call
 * slice: the size of one, in multiply-accumulates; 0: CRYDISTILL_SLICE */
struct crydistill_config {
    const struct crydistill_model *model;
    const struct crydistill_kernels *kernels;
    const struct crydistill_settings *settings;
    int8_t *arena;
    size_t arena_bytes;
    crydistill_listener *listener;
    void *context;
    int8_t *backlog;
    int32_t slice;
};

/* State of one listener, 9 KB. Use the functions below. */
struct crydistill {
    const struct crydistill_model *model; /* NULL: not started */
    const struct crydistill_kernels *kernels;
    int8_t *arena;
    crydistill_listener *listener;
    void *context;
    struct crydistill_mel mel;
    struct crydistill_detector detector;
    int8_t patch[CRYDISTILL_PATCH_SIZE];
    uint16_t frames;   /* of the patch that is being filled */
    bool busy;         /* the listener is running */
    bool running;      /* the patch is full, and the network is at work on it */
    uint8_t waiting;   /* frames in the backlog */
    int8_t *backlog;   /* NULL: the network runs in one piece */
    int32_t slice;
    struct crydistill_progress progress; /* of the network that is at work */
    uint32_t position; /* in the audio, in samples since the start of the next window */
    uint32_t lost;     /* windows lost in the current gap that the listener is still to hear of */
};

/* Start listening, with nothing heard. What is wrong with the config is named; nothing is listening
 * then, and crydistill_push says so. */
CRYDISTILL_MUST_CHECK
enum crydistill_error crydistill_init(struct crydistill *self,
                                      const struct crydistill_config *config);

/* Start anew with the same config and the settings last set, as crydistill_init does. An alert that
 * is on ends without an event. Called by the listener, what follows the window is heard as the
 * beginning. Error: CRYDISTILL_ERROR_NOT_STARTED. */
enum crydistill_error crydistill_reset(struct crydistill *self);

/* Use other settings from the next window on. Windows that have voted keep their vote, and an alert
 * that is on stays on until the new settings end it. Settings out of range are named, and the former
 * ones stay. Error otherwise: CRYDISTILL_ERROR_NOT_STARTED. */
CRYDISTILL_MUST_CHECK
enum crydistill_error crydistill_set_settings(struct crydistill *self,
                                              const struct crydistill_settings *settings);

/* Take the next n samples, any n; call the listener for each window they complete. With a backlog the
 * windows are left to crydistill_step; only if that falls behind by a whole window is the rest of its
 * network done here. Errors:
 * CRYDISTILL_ERROR_NOT_STARTED, CRYDISTILL_ERROR_BUSY, CRYDISTILL_ERROR_PCM. Then no sample was
 * taken, unless the listener itself called crydistill_init and failed. */
enum crydistill_error crydistill_push(struct crydistill *self, const int16_t *pcm, size_t n);

/* Do one thing that is due: take samples from the ring, at most a frame of 10 ms, or, with a
 * backlog, a slice of the network, or report a gap in the ring. `*idle`: there was nothing to do, the
 * processor may sleep until more samples come; `idle` may be NULL. The results are those of crydistill_push with the same samples and
 * crydistill_gap with the same gaps. The listener is called by the step that completes a window.
 * ring: whose reader this is; NULL where samples are pushed. Without a backlog the step that completes
 * a window runs all of the network. Errors: CRYDISTILL_ERROR_NOT_STARTED, CRYDISTILL_ERROR_BUSY,
 * CRYDISTILL_ERROR_RING. */
enum crydistill_error crydistill_step(struct crydistill *self, struct crydistill_ring *ring,
                                      bool *idle);

/* Between two pushes n samples were lost; 0 if it is not known how many. What was heard before is
 * forgotten: no window spans the gap, and the memory of a student with memory is empty again. The
 * vote goes on: the listener is called for the windows that were lost, none of which votes, so that
 * an alert ends in time and later windows have the right index. The next window comes 0.975 s after
 * the gap. Errors: CRYDISTILL_ERROR_NOT_STARTED, CRYDISTILL_ERROR_BUSY. */
enum crydistill_error crydistill_gap(struct crydistill *self, uint32_t n);

/* Empty the memory at the start of the arena, for programs that call the model's `run` themselves;
 * crydistill_init, crydistill_reset and crydistill_gap do it. */
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
