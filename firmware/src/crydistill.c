#include "crydistill.h"

#include "crydistill_requantize.h"

#ifndef CRYDISTILL_FIXED_POINT
#include <math.h>
#endif
#include <string.h>

enum { HOP_SAMPLES = CRYDISTILL_WINDOW_HOP_FRAMES * CRYDISTILL_FRAME_HOP };

void crydistill_forget(const struct crydistill_model *model, int8_t *arena)
{
    memset(arena, model->memory_zero_point, model->memory_bytes);
}

/* Hear the next sample as the first. */
static void start_stream(struct crydistill *self)
{
    self->frames = 0;
    self->position = 0;
    self->lost = 0;
    self->running = false;
    self->waiting = 0;
    crydistill_mel_init(&self->mel);
    crydistill_forget(self->model, self->arena);
}

/* Whether a table has every kernel that the model's own has: those it calls. */
static bool is_complete(const struct crydistill_kernels *table,
                        const struct crydistill_kernels *own)
{
#define HAS(kernel) (table->kernel != NULL || own->kernel == NULL)
    return HAS(conv_2d) && HAS(depthwise_conv_2d) && HAS(fully_connected) && HAS(mean) &&
           HAS(average_pool_2d) && HAS(add) && HAS(pad) && HAS(concatenation) &&
           HAS(strided_slice);
#undef HAS
}

static bool is_empty(const struct crydistill_kernels *table)
{
    static const struct crydistill_kernels none;
    return is_complete(&none, table);
}

static enum crydistill_error refusal_of_model(const struct crydistill_model *model,
                                              const struct crydistill_kernels *kernels)
{
    if (model == NULL) {
        return CRYDISTILL_ERROR_MODEL;
    }
    /* First: the other members of another version may be anywhere. */
    if (model->version != CRYDISTILL_FORMAT_VERSION) {
        return CRYDISTILL_ERROR_MODEL_VERSION;
    }
    const bool good = model->kernels != NULL && !is_empty(model->kernels) &&
                      (kernels == NULL || is_complete(kernels, model->kernels));
    if (!good) {
        return CRYDISTILL_ERROR_KERNELS;
    }
    return model->fits == NULL || model->fits() ? CRYDISTILL_OK : CRYDISTILL_ERROR_SCRATCH;
}

static enum crydistill_error refusal_of_arena(const int8_t *arena, size_t bytes, size_t needed)
{
    if (arena == NULL) {
        return CRYDISTILL_ERROR_ARENA;
    }
    if ((uintptr_t)arena % CRYDISTILL_ALIGNMENT != 0) {
        return CRYDISTILL_ERROR_ARENA_ALIGNMENT;
    }
    return bytes < needed ? CRYDISTILL_ERROR_ARENA_BYTES : CRYDISTILL_OK;
}

static enum crydistill_error refusal_of_config(const struct crydistill_config *config)
{
    if (config == NULL) {
        return CRYDISTILL_ERROR_CONFIG;
    }
    enum crydistill_error error = refusal_of_model(config->model, config->kernels);
    if (error == CRYDISTILL_OK) {
        error = refusal_of_arena(config->arena, config->arena_bytes, config->model->arena_bytes);
    }
    if (error == CRYDISTILL_OK && config->listener == NULL) {
        error = CRYDISTILL_ERROR_LISTENER;
    }
    return error;
}

enum crydistill_error crydistill_init(struct crydistill *self,
                                      const struct crydistill_config *config)
{
    if (self == NULL) {
        return CRYDISTILL_ERROR_SELF;
    }
    self->model = NULL;
    self->lost = 0;
    self->running = false;
    self->waiting = 0;
    enum crydistill_error error = refusal_of_config(config);
    if (error == CRYDISTILL_OK) {
        error = crydistill_detector_init(&self->detector, config->settings);
    }
    if (error != CRYDISTILL_OK) {
        return error;
    }
    self->model = config->model;
    self->kernels = config->kernels == NULL ? config->model->kernels : config->kernels;
    self->arena = config->arena;
    self->listener = config->listener;
    self->context = config->context;
    self->backlog = config->backlog;
    self->slice = config->slice > 0 ? config->slice : CRYDISTILL_SLICE;
    self->busy = false;
    start_stream(self);
    return CRYDISTILL_OK;
}

static enum crydistill_error refusal_to_run(const struct crydistill *self)
{
    if (self == NULL) {
        return CRYDISTILL_ERROR_SELF;
    }
    return self->model == NULL ? CRYDISTILL_ERROR_NOT_STARTED : CRYDISTILL_OK;
}

static enum crydistill_error refusal_to_hear(const struct crydistill *self)
{
    const enum crydistill_error error = refusal_to_run(self);
    return error == CRYDISTILL_OK && self->busy ? CRYDISTILL_ERROR_BUSY : error;
}

enum crydistill_error crydistill_reset(struct crydistill *self)
{
    const enum crydistill_error error = refusal_to_run(self);
    if (error == CRYDISTILL_OK) {
        crydistill_detector_reset(&self->detector);
        start_stream(self);
    }
    return error;
}

enum crydistill_error crydistill_set_settings(struct crydistill *self,
                                              const struct crydistill_settings *settings)
{
    const enum crydistill_error error = refusal_to_run(self);
    return error == CRYDISTILL_OK ? crydistill_detector_set(&self->detector, settings) : error;
}

static int8_t clamped(int32_t step)
{
    return (int8_t)(step < INT8_MIN ? INT8_MIN : step > INT8_MAX ? INT8_MAX : step);
}

static int32_t steps_of(const struct crydistill_model *model, crydistill_level level)
{
#ifdef CRYDISTILL_FIXED_POINT
    return multiply_high(level, model->input_factor);
#else
    return (int32_t)rintf(level / model->input_scale);
#endif
}

void crydistill_quantize(const struct crydistill_model *model,
                         const crydistill_level frame[CRYDISTILL_MEL_BANDS],
                         int8_t steps[CRYDISTILL_MEL_BANDS])
{
    for (int band = 0; band < CRYDISTILL_MEL_BANDS; band++) {
        steps[band] = clamped(steps_of(model, frame[band]) + model->input_zero_point);
    }
}

static int8_t largest(const int8_t *steps, int32_t n)
{
    int8_t found = steps[0];
    for (int32_t i = 1; i < n; i++) {
        found = steps[i] > found ? steps[i] : found;
    }
    return found;
}

static float softmax_score(const struct crydistill_model *model, const int8_t *logits)
{
    const int highest = largest(logits, model->outputs);
    float total = 0.0f, cries = 0.0f;
    for (int32_t i = 0; i < model->outputs; i++) {
        total += model->activation[highest - logits[i]];
    }
    for (int32_t i = 0; i < model->cry_output_count; i++) {
        cries += model->activation[highest - logits[model->cry_outputs[i]]];
    }
    return cries / total;
}

float crydistill_score(const struct crydistill_model *model, const int8_t *logits)
{
    if (model->softmax) {
        return softmax_score(model, logits);
    }
    float score = model->activation[logits[model->cry_outputs[0]] - INT8_MIN];
    for (int32_t i = 1; i < model->cry_output_count; i++) {
        score += model->activation[logits[model->cry_outputs[i]] - INT8_MIN];
    }
    return score;
}

/* Let a window vote that has its score. The listener may start the stream anew, or fail to: nothing
 * that was computed before it is used after it. */
static void finish_window(struct crydistill *self, struct crydistill_window *window)
{
    window->index = self->detector.windows;
    window->event = crydistill_detector_push(&self->detector, window->score);
    window->onset = self->detector.onset;
    self->busy = true;
    self->listener(self->context, window);
    self->busy = false;
}

/* Where the next frame goes. A full patch stayed in place for the network and the listener. */
static int8_t *next_row(struct crydistill *self)
{
    enum { HOP = CRYDISTILL_WINDOW_HOP_FRAMES * CRYDISTILL_MEL_BANDS };
    if (self->running) {
        return self->backlog + self->waiting++ * CRYDISTILL_MEL_BANDS;
    }
    if (self->frames == CRYDISTILL_WINDOW_FRAMES) {
        memmove(self->patch, self->patch + HOP, CRYDISTILL_PATCH_SIZE - HOP);
        self->frames = CRYDISTILL_WINDOW_FRAMES - CRYDISTILL_WINDOW_HOP_FRAMES;
    }
    return self->patch + self->frames++ * CRYDISTILL_MEL_BANDS;
}

/* If the patch is full, it is the network's turn. */
static void start_window(struct crydistill *self)
{
    if (!self->running && self->frames == CRYDISTILL_WINDOW_FRAMES) {
        self->position -= HOP_SAMPLES;
        self->progress = (struct crydistill_progress){0, 0};
        self->running = true;
    }
}

/* The network has left its logits. What was heard while it was at work is the next patch's, unless
 * the listener started anew. */
static void take_logits(struct crydistill *self, const int8_t *logits)
{
    struct crydistill_window window = {.patch = self->patch, .logits = logits};
    window.score = crydistill_score(self->model, logits);
    self->running = false;
    finish_window(self, &window);
    const uint8_t waiting = self->waiting;
    self->waiting = 0;
    for (uint8_t i = 0; i < waiting; i++) {
        memcpy(next_row(self), self->backlog + i * CRYDISTILL_MEL_BANDS, CRYDISTILL_MEL_BANDS);
    }
    if (waiting > 0) {
        start_window(self);
    }
}

static void run_network(struct crydistill *self)
{
    take_logits(self, self->model->run(self->kernels, self->patch, self->arena));
}

static void run_slice(struct crydistill *self)
{
    const struct crydistill_model *const model = self->model;
    /* Other kernels than the model's own may have been prepared for whole layers. */
    const int32_t work = self->kernels == model->kernels ? self->slice : INT32_MAX;
    if (model->call_count == 0) {
        run_network(self);
    } else if (crydistill_run_part(model, self->kernels, self->patch, self->arena, work,
                                   &self->progress)) {
        take_logits(self, self->arena + model->logits);
    }
}

/* Whether there is no place for another frame before the network is done. */
static bool is_full(const struct crydistill *self)
{
    return self->running && self->waiting == CRYDISTILL_WINDOW_HOP_FRAMES;
}

/* Samples until a frame is complete, or all n; returns how many. */
static size_t take_samples(struct crydistill *self, const int16_t *pcm, size_t n)
{
    crydistill_level frame[CRYDISTILL_MEL_BANDS];
    bool complete;
    const size_t taken = crydistill_mel_push(&self->mel, pcm, n, frame, &complete);
    self->position += (uint32_t)taken;
    if (complete) {
        crydistill_quantize(self->model, frame, next_row(self));
        start_window(self);
        if (self->running && self->backlog == NULL) {
            run_network(self);
        }
    }
    return taken;
}

enum crydistill_error crydistill_push(struct crydistill *self, const int16_t *pcm, size_t n)
{
    enum crydistill_error error = refusal_to_hear(self);
    if (error == CRYDISTILL_OK && pcm == NULL && n > 0) {
        error = CRYDISTILL_ERROR_PCM;
    }
    while (error == CRYDISTILL_OK && n > 0) {
        if (is_full(self)) {
            run_slice(self);
        } else {
            const size_t taken = take_samples(self, pcm, n);
            pcm += taken;
            n -= taken;
        }
        error = refusal_to_hear(self);
    }
    return error;
}

enum crydistill_error crydistill_gap(struct crydistill *self, uint32_t n)
{
    struct crydistill_window lost = {.patch = NULL};
    const uint32_t not_a_number = UINT32_C(0x7fc00000);
    memcpy(&lost.score, &not_a_number, sizeof lost.score);
    enum crydistill_error error = refusal_to_hear(self);
    while (error == CRYDISTILL_OK && self->running) {
        run_slice(self);
        error = refusal_to_hear(self);
    }
    if (error != CRYDISTILL_OK) {
        return error;
    }
    const uint32_t position = self->position + n % HOP_SAMPLES;
    start_stream(self);
    self->position = position % HOP_SAMPLES;
    self->lost = n / HOP_SAMPLES + position / HOP_SAMPLES;
    while (self->lost > 0) {
        self->lost--;
        finish_window(self, &lost);
    }
    return refusal_to_hear(self);
}

/* Take samples from the ring if there are any and there is a place for them. */
static bool take_from(struct crydistill *self, struct crydistill_ring *ring)
{
    uint32_t n = 0;
    const int16_t *pcm = crydistill_ring_peek(ring, &n);
    if (n == 0 || is_full(self)) {
        return false;
    }
    crydistill_ring_drop(ring, (uint32_t)take_samples(self, pcm, n));
    return true;
}

/* Whether there was anything. Samples first: a ring has little room. */
static bool do_what_is_due(struct crydistill *self, struct crydistill_ring *ring)
{
    if (ring != NULL && take_from(self, ring)) {
        return true;
    }
    if (self->running) {
        run_slice(self);
        return true;
    }
    const uint32_t lost = ring == NULL ? 0 : crydistill_ring_take_gap(ring);
    if (lost > 0) {
        crydistill_gap(self, lost);
    }
    return lost > 0;
}

enum crydistill_error crydistill_step(struct crydistill *self, struct crydistill_ring *ring,
                                      bool *idle)
{
    enum crydistill_error error = refusal_to_hear(self);
    if (error == CRYDISTILL_OK && ring != NULL && ring->samples == NULL) {
        error = CRYDISTILL_ERROR_RING;
    }
    const bool done = error == CRYDISTILL_OK && do_what_is_due(self, ring);
    if (idle != NULL) {
        *idle = !done;
    }
    return done ? refusal_to_hear(self) : error;
}
