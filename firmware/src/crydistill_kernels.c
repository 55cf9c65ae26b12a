/* Kernels that do not multiply by weights: plain loops, integers only. */
#include "crydistill_fours.h"

#include <string.h>

enum { STEPS = 256 /* of an int8 value */ };

void crydistill_mean_2d(const struct crydistill_mean *layer, const int8_t *input, int8_t *output)
{
    const struct crydistill_output to = layer->output;
    for (int32_t channel = 0; channel < layer->channels; channel++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < layer->pixels; i++) {
            sum += input[i * layer->channels + channel] - layer->input_zero_point;
        }
        output[channel] = requantize(sum, layer->multiplier, layer->shift, &to);
    }
}

/* The taps of a sliding window that lie inside the input: first to end, in both directions, and how
 * far apart in memory the input's channels under them are. */
struct taps {
    int32_t first_row, end_row, first_column, end_column;
    int32_t origin, row_step, column_step; /* tap r, c: origin + r row_step + c column_step */
};

/* Which of the positions start, start + dilation, ..., `end` of them, lie inside 0 to size. */
static void inside(int32_t start, int32_t dilation, int32_t size, int32_t *first, int32_t *end)
{
    for (*first = 0; *first < *end && start + *first * dilation < 0;) {
        ++*first;
    }
    while (*end > *first && start + (*end - 1) * dilation >= size) {
        --*end;
    }
}

static struct taps taps_at(const struct crydistill_window_shape *s, int32_t y, int32_t x)
{
    const int32_t row = y * s->stride_height - s->pad_top;
    const int32_t column = x * s->stride_width - s->pad_left;
    struct taps taps = {.end_row = s->height, .end_column = s->width};
    inside(row, s->dilation_height, s->input_height, &taps.first_row, &taps.end_row);
    inside(column, s->dilation_width, s->input_width, &taps.first_column, &taps.end_column);
    taps.origin = (row * s->input_width + column) * s->input_channels;
    taps.row_step = s->dilation_height * s->input_width * s->input_channels;
    taps.column_step = s->dilation_width * s->input_channels;
    return taps;
}

void crydistill_average_pool_2d(const struct crydistill_pool *layer, const int8_t *input,
                                int8_t *output)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const struct crydistill_output to = layer->output;
    for (int32_t i = 0; i < s->output_height * s->output_width; i++) {
        const struct taps t = taps_at(s, i / s->output_width, i % s->output_width);
        const int32_t count = (t.end_row - t.first_row) * (t.end_column - t.first_column);
        for (int32_t channel = 0; channel < s->output_channels; channel++) {
            int32_t sum = 0;
            for (int32_t r = t.first_row; r < t.end_row; r++) {
                for (int32_t c = t.first_column; c < t.end_column; c++) {
                    sum += input[t.origin + channel + r * t.row_step + c * t.column_step];
                }
            }
            sum += sum > 0 ? count / 2 : -(count / 2);
            *output++ = clamp(sum / count, &to);
        }
    }
}

#ifdef CRYDISTILL_HELIUM

/* What four steps of one input add to the sum, which has 20 fractional bits. */
CRYDISTILL_INLINE int32x4_t addend(const struct crydistill_add *layer, int input, int32x4_t steps)
{
    const int32x4_t value = vshlq_n_s32(vsubq_n_s32(steps, layer->zero_point[input]), 20);
    return rescale_4(value, vdupq_n_s32(layer->multiplier[input]), vdupq_n_s32(layer->shift[input]));
}

void crydistill_add_int8(const struct crydistill_add *layer, const int8_t *a, const int8_t *b,
                         int8_t *output)
{
    const struct crydistill_add it = *layer;
    const int32x4_t multiplier = vdupq_n_s32(it.output_multiplier);
    const int32x4_t shift = vdupq_n_s32(it.output_shift);
    for (int32_t left = it.size; left > 0; left -= 4, a += 4, b += 4, output += 4) {
        const mve_pred16_t there = vctp32q((uint32_t)left);
        const int32x4_t sum = vaddq_s32(addend(&it, 0, vldrbq_z_s32(a, there)),
                                        addend(&it, 1, vldrbq_z_s32(b, there)));
        vstrbq_p_s32(output, clamp_4(rescale_4(sum, multiplier, shift), &it.output), there);
    }
}

#else

/* What each step of one input adds to the sum, which has 20 fractional bits. */
static void tabulate(const struct crydistill_add *layer, int input, int32_t table[STEPS])
{
    for (int32_t step = INT8_MIN; step <= INT8_MAX; step++) {
        const int32_t value = (step - layer->zero_point[input]) * (1 << 20);
        table[step - INT8_MIN] = rescale(value, layer->multiplier[input], layer->shift[input]);
    }
}

void crydistill_add_int8(const struct crydistill_add *layer, const int8_t *a, const int8_t *b,
                         int8_t *output)
{
    const int32_t size = layer->size;
    const struct crydistill_output to = layer->output;
    const int32_t multiplier = layer->output_multiplier, shift = layer->output_shift;
    int32_t first[STEPS], second[STEPS];
    tabulate(layer, 0, first);
    tabulate(layer, 1, second);
    for (int32_t i = 0; i < size; i++) {
        const int32_t sum = first[a[i] - INT8_MIN] + second[b[i] - INT8_MIN];
        output[i] = requantize(sum, multiplier, shift, &to);
    }
}

#endif

void crydistill_pad_2d(const struct crydistill_pad *layer, const int8_t *input, int8_t *output)
{
    const int32_t channels = layer->front + layer->input_channels + layer->back;
    const int32_t width = layer->left + layer->input_width + layer->right;
    const int32_t height = layer->top + layer->input_height + layer->bottom;
    memset(output, layer->value, (size_t)(height * width * channels));
    for (int32_t y = 0; y < layer->input_height; y++) {
        for (int32_t x = 0; x < layer->input_width; x++) {
            const int32_t at = (y + layer->top) * width + x + layer->left;
            memcpy(output + at * channels + layer->front, input, (size_t)layer->input_channels);
            input += layer->input_channels;
        }
    }
}

void crydistill_concatenate(const struct crydistill_concatenation *layer, const int8_t *a,
                            const int8_t *b, int8_t *output)
{
    memcpy(output, a, (size_t)layer->sizes[0]);
    memcpy(output + layer->sizes[0], b, (size_t)layer->sizes[1]);
}

void crydistill_slice(const struct crydistill_strided_slice *layer, const int8_t *input,
                      int8_t *output)
{
    memcpy(output, input + layer->first, (size_t)layer->size);
}
