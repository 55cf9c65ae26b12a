#include "crydistill.h"

#include <math.h>
#include <string.h>

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
    self->frames = 0;
    crydistill_mel_init(&self->mel);
    return true;
}

void crydistill_quantize(const struct crydistill_model *model,
                         const float frame[CRYDISTILL_MEL_BANDS],
                         int8_t steps[CRYDISTILL_MEL_BANDS])
{
    for (int band = 0; band < CRYDISTILL_MEL_BANDS; band++) {
        const float step = rintf(frame[band] / model->input_scale) + (float)model->input_zero_point;
        steps[band] = (int8_t)fmaxf(-128.0f, fminf(step, 127.0f));
    }
}

static float logit(const struct crydistill_model *model, int8_t step)
{
    return (float)(step - model->output_zero_point) * model->output_scale;
}

static int8_t largest(const int8_t *steps, int32_t n)
{
    int8_t found = steps[0];
    for (int32_t i = 1; i < n; i++) {
        found = steps[i] > found ? steps[i] : found;
    }
    return found;
}

float crydistill_score(const struct crydistill_model *model, const int8_t *logits)
{
    float highest = 0.0f, total = 1.0f, score = 0.0f;
    if (model->softmax) {
        highest = logit(model, largest(logits, model->outputs));
        total = 0.0f;
        for (int32_t i = 0; i < model->outputs; i++) {
            total += expf(logit(model, logits[i]) - highest);
        }
    }
    for (int32_t i = 0; i < model->cry_output_count; i++) {
        const float value = logit(model, logits[model->cry_outputs[i]]);
        score += model->softmax ? expf(value - highest) / total : 1.0f / (1.0f + expf(-value));
    }
    return score;
}

static void take_window(struct crydistill *self, crydistill_listener *listener, void *context)
{
    struct crydistill_window window = {.patch = self->patch, .index = self->detector.windows};
    window.logits = self->model->run(self->kernels, self->patch, self->arena);
    window.score = crydistill_score(self->model, window.logits);
    window.event = crydistill_detector_push(&self->detector, window.score);
    window.onset = self->detector.onset;
    listener(context, &window);
}

static void take_frame(struct crydistill *self, const float *frame, crydistill_listener *listener,
                       void *context)
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
    float frame[CRYDISTILL_MEL_BANDS];
    while (n > 0) {
        bool complete;
        const size_t taken = crydistill_mel_push(&self->mel, pcm, n, frame, &complete);
        pcm += taken;
        n -= taken;
        if (complete) {
            take_frame(self, frame, listener, context);
        }
    }
}
