/* Reference kernels: plain loops, integers only. */
#include "crydistill_engine.h"

#include <string.h>

/* x times multiplier / 2^31 times 2^shift, rounded to nearest after each of the two steps: first
 * halves up, then halves away from zero. Relies on >> of a negative number being arithmetic, as it
 * is with every compiler for these targets. */
static int32_t rescale(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0, right = left - shift;
    const int64_t product = (int64_t)(int32_t)((uint32_t)x << left) * multiplier;
    const int32_t high = (int32_t)((product + (1 << 30)) >> 31);
    const int32_t mask = (int32_t)((UINT32_C(1) << right) - 1);
    const int32_t below_half = (mask >> 1) + (high < 0);
    return (high >> right) + ((high & mask) > below_half);
}

static int8_t clamp(int32_t step, const struct crydistill_output *output)
{
    step = step < output->smallest ? output->smallest : step;
    return (int8_t)(step > output->largest ? output->largest : step);
}

static int8_t finish(int32_t sum, int32_t multiplier, int32_t shift,
                     const struct crydistill_output *output)
{
    return clamp(rescale(sum, multiplier, shift) + output->zero_point, output);
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

static int32_t dot(const int8_t *a, int32_t zero_point, const int8_t *b, int32_t n)
{
    int32_t sum = 0, i = 0;
    for (; i + 4 <= n; i += 4) { /* most of a network's time: half of the loop's own steps saved */
        sum += (a[i] - zero_point) * b[i] + (a[i + 1] - zero_point) * b[i + 1] +
               (a[i + 2] - zero_point) * b[i + 2] + (a[i + 3] - zero_point) * b[i + 3];
    }
    for (; i < n; i++) {
        sum += (a[i] - zero_point) * b[i];
    }
    return sum;
}

void crydistill_conv_2d(const struct crydistill_conv *layer, const int8_t *input, int8_t *output)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const int32_t channels = s->input_channels, filter_size = s->height * s->width * channels;
    for (int32_t i = 0; i < s->output_height * s->output_width; i++) {
        const struct taps t = taps_at(s, i / s->output_width, i % s->output_width);
        /* Neighbouring columns lie side by side in memory, unless the taps are spread. */
        const int32_t run = s->dilation_width == 1 ? t.end_column - t.first_column : 1;
        const int8_t *filter = layer->weights;
        for (int32_t channel = 0; channel < s->output_channels; channel++, filter += filter_size) {
            int32_t sum = layer->bias[channel];
            for (int32_t r = t.first_row; r < t.end_row; r++) {
                for (int32_t c = t.first_column; c < t.end_column; c += run) {
                    sum += dot(input + (t.origin + r * t.row_step + c * t.column_step),
                               layer->input_zero_point, filter + (r * s->width + c) * channels,
                               run * channels);
                }
            }
            *output++ =
                finish(sum, layer->multiplier[channel], layer->shift[channel], &layer->output);
        }
    }
}

void crydistill_depthwise_conv_2d(const struct crydistill_conv *layer, const int8_t *input,
                                  int8_t *output)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const int32_t multiplier = s->output_channels / s->input_channels;
    for (int32_t i = 0; i < s->output_height * s->output_width; i++) {
        const struct taps t = taps_at(s, i / s->output_width, i % s->output_width);
        for (int32_t channel = 0; channel < s->output_channels; channel++) {
            const int32_t source = t.origin + channel / multiplier;
            int32_t sum = layer->bias[channel];
            for (int32_t r = t.first_row; r < t.end_row; r++) {
                for (int32_t c = t.first_column; c < t.end_column; c++) {
                    const int8_t value = input[source + r * t.row_step + c * t.column_step];
                    sum += (value - layer->input_zero_point) *
                           layer->weights[(r * s->width + c) * s->output_channels + channel];
                }
            }
            *output++ =
                finish(sum, layer->multiplier[channel], layer->shift[channel], &layer->output);
        }
    }
}

void crydistill_fully_connected(const struct crydistill_dense *layer, const int8_t *input,
                                int8_t *output)
{
    const int8_t *row = layer->weights;
    for (int32_t unit = 0; unit < layer->outputs; unit++, row += layer->inputs) {
        const int32_t bias = layer->bias == NULL ? 0 : layer->bias[unit];
        const int32_t sum = bias + dot(input, layer->input_zero_point, row, layer->inputs);
        output[unit] = finish(sum, layer->multiplier, layer->shift, &layer->output);
    }
}

void crydistill_mean_2d(const struct crydistill_mean *layer, const int8_t *input, int8_t *output)
{
    for (int32_t channel = 0; channel < layer->channels; channel++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < layer->pixels; i++) {
            sum += input[i * layer->channels + channel] - layer->input_zero_point;
        }
        output[channel] = finish(sum, layer->multiplier, layer->shift, &layer->output);
    }
}

void crydistill_average_pool_2d(const struct crydistill_pool *layer, const int8_t *input,
                                int8_t *output)
{
    const struct crydistill_window_shape *s = &layer->shape;
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
            *output++ = clamp(sum / count, &layer->output);
        }
    }
}

void crydistill_add_int8(const struct crydistill_add *layer, const int8_t *a, const int8_t *b,
                         int8_t *output)
{
    enum { FRACTION = 1 << 20 }; /* the sum is held with 20 fractional bits */
    for (int32_t i = 0; i < layer->size; i++) {
        const int32_t first = (a[i] - layer->zero_point[0]) * FRACTION;
        const int32_t second = (b[i] - layer->zero_point[1]) * FRACTION;
        const int32_t sum = rescale(first, layer->multiplier[0], layer->shift[0]) +
                            rescale(second, layer->multiplier[1], layer->shift[1]);
        output[i] = finish(sum, layer->output_multiplier, layer->output_shift, &layer->output);
    }
}

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
