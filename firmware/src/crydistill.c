#include "crydistill.h"

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
    crydistill_mel_init(&self->mel);
    crydistill_forget(self->model, self->arena);
}

bool crydistill_init(struct crydistill *self, const struct crydistill_model *model,
                     const struct crydistill_kernels *kernels,
                     const struct crydistill_settings *settings, int8_t *arena,
                     size_t arena_bytes)
{
    if (arena_bytes < model->arena_bytes || !crydistill_detector_init(&self->detector, settings)) {
        return false;
    }
    self->model = model;
    self->kernels = kernels == NULL ? model->kernels : kernels;
    self->arena = arena;
    self->position = 0;
    start_stream(self);
    return true;
}

static int8_t clamped(int32_t step)
{
    return (int8_t)(step < INT8_MIN ? INT8_MIN : step > INT8_MAX ? INT8_MAX : step);
}

static int32_t steps_of(const struct crydistill_model *model, crydistill_level level)
{
#ifdef CRYDISTILL_FIXED_POINT
    return (int32_t)(((int64_t)level * model->input_factor + (INT64_C(1) << 31)) >> 32);
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

/* Let a window vote that has its score. */
static void finish_window(struct crydistill *self, struct crydistill_window *window,
                          crydistill_listener *listener, void *context)
{
    window->index = self->detector.windows;
    window->event = crydistill_detector_push(&self->detector, window->score);
    window->onset = self->detector.onset;
    listener(context, window);
}

static void take_window(struct crydistill *self, crydistill_listener *listener, void *context)
{
    struct crydistill_window window = {.patch = self->patch};
    self->position -= HOP_SAMPLES;
    window.logits = self->model->run(self->kernels, self->patch, self->arena);
    window.score = crydistill_score(self->model, window.logits);
    finish_window(self, &window, listener, context);
}

static void take_frame(struct crydistill *self, const crydistill_level *frame,
                       crydistill_listener *listener, void *context)
{
    enum { HOP = CRYDISTILL_WINDOW_HOP_FRAMES * CRYDISTILL_MEL_BANDS };
    crydistill_quantize(self->model, frame, self->patch + self->frames * CRYDISTILL_MEL_BANDS);
    if (++self->frames == CRYDISTILL_WINDOW_FRAMES) {
        take_window(self, listener, context);
        memmove(self->patch, self->patch + HOP, CRYDISTILL_PATCH_SIZE - HOP);
        self->frames = CRYDISTILL_WINDOW_FRAMES - CRYDISTILL_WINDOW_HOP_FRAMES;
    }
}

void crydistill_push(struct crydistill *self, const int16_t *pcm, size_t n,
                     crydistill_listener *listener, void *context)
{
    crydistill_level frame[CRYDISTILL_MEL_BANDS];
    while (n > 0) {
        bool complete;
        const size_t taken = crydistill_mel_push(&self->mel, pcm, n, frame, &complete);
        pcm += taken;
        n -= taken;
        self->position += (uint32_t)taken;
        if (complete) {
            take_frame(self, frame, listener, context);
        }
    }
}

void crydistill_gap(struct crydistill *self, uint32_t n, crydistill_listener *listener,
                    void *context)
{
    struct crydistill_window lost = {.patch = NULL};
    const uint32_t not_a_number = UINT32_C(0x7fc00000);
    memcpy(&lost.score, &not_a_number, sizeof lost.score);
    uint64_t position = (uint64_t)self->position + n;
    start_stream(self);
    for (; position >= HOP_SAMPLES; position -= HOP_SAMPLES) {
        finish_window(self, &lost, listener, context);
    }
    self->position = (uint32_t)position;
}
