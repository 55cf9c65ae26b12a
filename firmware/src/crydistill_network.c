/* A network is a list of kernel calls. They are made one after another, or a few rows of an output
 * at a time: such rows are the output of the same layer on a lower image, so that kernels need not
 * know of it. */
#include "crydistill_engine.h"

/* What one product or value takes of other operators than convolutions, in multiply-accumulates of
 * these: counted on a Cortex-M4, on the safe side. */
enum { DEPTHWISE_WORK = 3, ADD_WORK = 12 };

/* The tensors of a call. */
struct tensors {
    const int8_t *first, *second;
    int8_t *output;
};

static struct tensors tensors_of(const struct crydistill_call *call, const int8_t *patch,
                                 int8_t *arena)
{
    const int32_t first = call->inputs[0], second = call->inputs[1];
    const struct tensors tensors = {first == CRYDISTILL_IN_PATCH ? patch : arena + first,
                                    second == CRYDISTILL_IN_PATCH ? patch : arena + second,
                                    arena + call->output};
    return tensors;
}

static void make_call(const struct crydistill_call *call, const struct crydistill_kernels *kernels,
                      const struct tensors *t)
{
    switch (call->operator_code) {
    case CRYDISTILL_CALL_CONV_2D:
        kernels->conv_2d(call->layer, t->first, t->output);
        return;
    case CRYDISTILL_CALL_DEPTHWISE_CONV_2D:
        kernels->depthwise_conv_2d(call->layer, t->first, t->output);
        return;
    case CRYDISTILL_CALL_FULLY_CONNECTED:
        kernels->fully_connected(call->layer, t->first, t->output);
        return;
    case CRYDISTILL_CALL_MEAN:
        kernels->mean(call->layer, t->first, t->output);
        return;
    case CRYDISTILL_CALL_AVERAGE_POOL_2D:
        kernels->average_pool_2d(call->layer, t->first, t->output);
        return;
    case CRYDISTILL_CALL_ADD:
        kernels->add(call->layer, t->first, t->second, t->output);
        return;
    case CRYDISTILL_CALL_PAD:
        kernels->pad(call->layer, t->first, t->output);
        return;
    case CRYDISTILL_CALL_CONCATENATION:
        kernels->concatenation(call->layer, t->first, t->second, t->output);
        return;
    case CRYDISTILL_CALL_STRIDED_SLICE:
        kernels->strided_slice(call->layer, t->first, t->output);
        return;
    }
}

void crydistill_run(const struct crydistill_call *calls, int32_t count,
                    const struct crydistill_kernels *kernels, const int8_t *patch, int8_t *arena)
{
    for (int32_t i = 0; i < count; i++) {
        const struct tensors tensors = tensors_of(calls + i, patch, arena);
        make_call(calls + i, kernels, &tensors);
    }
}

/* Rows, or values, of an output that are computed now: from `first` up to `end` of `all`. */
struct band {
    int32_t first, end, all;
};

static struct band band_of(int32_t first, int32_t all, int32_t work, int32_t work_of_one)
{
    const int32_t fit = work / work_of_one, most = all - first;
    const int32_t count = fit < 1 ? 1 : fit < most ? fit : most;
    const struct band band = {first, first + count, all};
    return band;
}

static struct band rows_of(const struct crydistill_window_shape *s, int32_t work_of_value,
                           int32_t first, int32_t work)
{
    const int32_t values = s->output_width * s->output_channels;
    return band_of(first, s->output_height, work, values * s->height * s->width * work_of_value);
}

/* Make of a layer's shape and tensors those of a band. What lies in the image above it is left out:
 * padding remains only where it is seen. */
static void narrow(struct crydistill_window_shape *s, struct tensors *t, const struct band *band)
{
    const int32_t top = band->first * s->stride_height - s->pad_top;
    const int32_t above = top > 0 ? top : 0;
    t->first += above * s->input_width * s->input_channels;
    t->output += band->first * s->output_width * s->output_channels;
    s->input_height -= above;
    s->pad_top = above - top;
    s->output_height = band->end - band->first;
}

static struct band conv_rows(const struct crydistill_call *call,
                             const struct crydistill_kernels *kernels, struct tensors *t,
                             int32_t first, int32_t work)
{
    struct crydistill_conv layer = *(const struct crydistill_conv *)call->layer;
    const bool depthwise = call->operator_code == CRYDISTILL_CALL_DEPTHWISE_CONV_2D;
    const struct band band = rows_of(
        &layer.shape, depthwise ? DEPTHWISE_WORK : layer.shape.input_channels, first, work);
    narrow(&layer.shape, t, &band);
    (depthwise ? kernels->depthwise_conv_2d : kernels->conv_2d)(&layer, t->first, t->output);
    return band;
}

static struct band pool_rows(const struct crydistill_call *call,
                             const struct crydistill_kernels *kernels, struct tensors *t,
                             int32_t first, int32_t work)
{
    struct crydistill_pool layer = *(const struct crydistill_pool *)call->layer;
    const struct band band = rows_of(&layer.shape, DEPTHWISE_WORK, first, work);
    narrow(&layer.shape, t, &band);
    kernels->average_pool_2d(&layer, t->first, t->output);
    return band;
}

static struct band add_values(const struct crydistill_call *call,
                              const struct crydistill_kernels *kernels, const struct tensors *t,
                              int32_t first, int32_t work)
{
    struct crydistill_add layer = *(const struct crydistill_add *)call->layer;
    const struct band band = band_of(first, layer.size, work, ADD_WORK);
    layer.size = band.end - first;
    kernels->add(&layer, t->first + first, t->second + first, t->output + first);
    return band;
}

static struct band make_part(const struct crydistill_call *call,
                             const struct crydistill_kernels *kernels, struct tensors *t,
                             int32_t first, int32_t work)
{
    switch (call->operator_code) {
    case CRYDISTILL_CALL_CONV_2D:
    case CRYDISTILL_CALL_DEPTHWISE_CONV_2D:
        return conv_rows(call, kernels, t, first, work);
    case CRYDISTILL_CALL_AVERAGE_POOL_2D:
        return pool_rows(call, kernels, t, first, work);
    case CRYDISTILL_CALL_ADD:
        return add_values(call, kernels, t, first, work);
    default:
        make_call(call, kernels, t);
        return (struct band){0, 1, 1};
    }
}

bool crydistill_run_part(const struct crydistill_model *model,
                         const struct crydistill_kernels *kernels, const int8_t *patch,
                         int8_t *arena, int32_t work, struct crydistill_progress *progress)
{
    if (progress->calls < model->call_count) {
        const struct crydistill_call *call = model->calls + progress->calls;
        struct tensors tensors = tensors_of(call, patch, arena);
        const struct band band = make_part(call, kernels, &tensors, progress->rows, work);
        const bool done = band.end == band.all;
        progress->rows = done ? 0 : band.end;
        progress->calls += done ? 1 : 0;
    }
    return progress->calls >= model->call_count;
}
