/* Compares the library's kernels with obvious ones, on random layers and values. Prints how many
 * layers of each kind gave the same, or stops at the first difference.
 *
 *     kernels LAYERS SEED */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crydistill_engine.h"

enum {
    LARGEST_IMAGE = 1 << 13,
    LARGEST_FILTERS = 1 << 15,
    MOST_CHANNELS = 300,
    LARGEST_BIAS = 1 << 20,
    LARGEST_SHIFT = 3 /* shifted so, the sums stay below 2^30 */
};

/* Weights and values begin at any address. */
static int8_t weights[LARGEST_FILTERS + 4], input[LARGEST_IMAGE + 4], other[LARGEST_IMAGE + 4];
static int8_t expected[LARGEST_IMAGE], found[LARGEST_IMAGE];
static int32_t bias[MOST_CHANNELS], own_bias[MOST_CHANNELS], multiplier[MOST_CHANNELS];
static int8_t shift[MOST_CHANNELS];
static uint32_t state;

static int32_t draw(int32_t from, int32_t to)
{
    state = state * 1664525u + 1013904223u;
    return from + (int32_t)((state >> 8) % (uint32_t)(to - from + 1));
}

static const int8_t *draw_values(int8_t *values, size_t size)
{
    int8_t *const start = values + draw(0, 3);
    for (size_t i = 0; i < size; i++) {
        start[i] = (int8_t)draw(INT8_MIN, INT8_MAX);
    }
    return start;
}

static struct crydistill_output draw_output(void)
{
    const struct crydistill_output output = {draw(INT8_MIN, INT8_MAX), draw(INT8_MIN, -20),
                                             draw(20, INT8_MAX)};
    return output;
}

static void draw_factor(int32_t *factor, int8_t *exponent)
{
    *factor = draw(0, 40) == 0 ? 0 : (int32_t)((1u << 30) + (uint32_t)draw(0, (1 << 23) - 1) * 128u);
    *exponent = (int8_t)(draw(0, 9) == 0 ? draw(-31, LARGEST_SHIFT) : draw(-14, -6));
}

/* TFLite Micro's MultiplyByQuantizedMultiplier, as its documentation has it. */
static int32_t obvious_rescale(int32_t x, int32_t factor, int32_t exponent)
{
    const int64_t left = (int64_t)1 << (exponent > 0 ? exponent : 0);
    const int64_t right = (int64_t)1 << (exponent > 0 ? 0 : -exponent);
    /* A division rounds towards 0, so halves are added with the sign; the first rounding takes
     * negative halves up, the second takes them away from 0. */
    const int64_t product = x * left * factor, one = (int64_t)1 << 31;
    const int64_t half = one / 2;
    const int64_t high = (product + (product >= 0 ? half : 1 - half)) / one;
    return (int32_t)((high + (high >= 0 ? right / 2 : -(right / 2))) / right);
}

static int8_t obvious_step(int32_t step, const struct crydistill_output *output)
{
    step += output->zero_point;
    if (step < output->smallest) {
        return (int8_t)output->smallest;
    }
    return (int8_t)(step > output->largest ? output->largest : step);
}

/* The value under a tap less the zero point: 0 outside the image. */
static int32_t at_tap(const struct crydistill_conv *layer, const int8_t *image, int32_t row,
                      int32_t column, int32_t channel)
{
    const struct crydistill_window_shape *s = &layer->shape;
    if (row < 0 || row >= s->input_height || column < 0 || column >= s->input_width) {
        return 0;
    }
    return image[(row * s->input_width + column) * s->input_channels + channel] -
           layer->input_zero_point;
}

/* How many inputs a filter of the layer has per tap. */
static int32_t depth(const struct crydistill_conv *layer, bool depthwise)
{
    return depthwise ? 1 : layer->shape.input_channels;
}

/* Where the weight of a channel, a tap and an input lies. */
static int32_t weight_at(const struct crydistill_conv *layer, bool depthwise, int32_t channel,
                         int32_t tap, int32_t k)
{
    const struct crydistill_window_shape *s = &layer->shape;
    return depthwise ? tap * s->output_channels + channel
                     : (channel * s->height * s->width + tap) * s->input_channels + k;
}

static int8_t convolve_at(const struct crydistill_conv *layer, bool depthwise, const int8_t *image,
                          int32_t y, int32_t x, int32_t channel)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const int32_t first = depthwise ? channel / (s->output_channels / s->input_channels) : 0;
    int32_t sum = own_bias[channel];
    for (int32_t r = 0; r < s->height; r++) {
        for (int32_t c = 0; c < s->width; c++) {
            const int32_t row = y * s->stride_height - s->pad_top + r * s->dilation_height;
            const int32_t column = x * s->stride_width - s->pad_left + c * s->dilation_width;
            for (int32_t k = 0; k < depth(layer, depthwise); k++) {
                sum += at_tap(layer, image, row, column, first + k) *
                       layer->weights[weight_at(layer, depthwise, channel, r * s->width + c, k)];
            }
        }
    }
    return obvious_step(obvious_rescale(sum, layer->multiplier[channel], layer->shift[channel]),
                        &layer->output);
}

static int32_t outputs_along(int32_t size, int32_t padding, int32_t taps, int32_t dilation,
                             int32_t stride)
{
    const int32_t room = size + padding - ((taps - 1) * dilation + 1);
    return room < 0 ? 0 : room / stride + 1;
}

/* Windows of all kinds: small and larger than the kernels' buffers, at the edges, spread, of one
 * tap; channels that do not come in fours. Without outputs if it is not possible. */
static struct crydistill_window_shape draw_shape(bool depthwise)
{
    const bool one_tap = draw(0, 3) == 0, large = draw(0, 5) == 0;
    const int32_t most = one_tap ? 1 : large ? 9 : 4;
    const int32_t channels = draw(0, 1) ? draw(1, 9) : draw(1, depthwise ? 280 : 80);
    struct crydistill_window_shape s = {
        .input_height = draw(1, 9),
        .input_width = draw(1, 9),
        .input_channels = channels,
        .output_channels = depthwise ? channels * (draw(0, 2) ? 1 : draw(1, 3)) : draw(1, 12),
        .height = draw(large ? most : 1, most),
        .width = draw(large ? most : 1, most),
        .stride_height = draw(1, 3),
        .stride_width = draw(1, 3),
        .dilation_height = draw(0, 3) ? 1 : 2,
        .dilation_width = draw(0, 3) ? 1 : 2,
    };
    s.pad_top = draw(0, s.height - 1);
    s.pad_left = draw(0, s.width - 1);
    s.output_height = outputs_along(s.input_height, s.pad_top + draw(0, s.height - 1), s.height,
                                    s.dilation_height, s.stride_height);
    s.output_width = outputs_along(s.input_width, s.pad_left + draw(0, s.width - 1), s.width,
                                   s.dilation_width, s.stride_width);
    return s;
}

static bool fits(const struct crydistill_window_shape *s, bool depthwise)
{
    const int32_t taps = s->height * s->width;
    const int32_t filters = taps * s->output_channels * (depthwise ? 1 : s->input_channels);
    const int32_t outputs = s->output_height * s->output_width * s->output_channels;
    return outputs > 0 && outputs <= LARGEST_IMAGE && filters <= LARGEST_FILTERS &&
           s->output_channels <= MOST_CHANNELS &&
           s->input_height * s->input_width * s->input_channels <= LARGEST_IMAGE;
}

/* Draw the channels' factors and biases, and fold the zero point into these. */
static void draw_channels(const struct crydistill_conv *layer, bool depthwise)
{
    const struct crydistill_window_shape *s = &layer->shape;
    for (int32_t channel = 0; channel < s->output_channels; channel++) {
        int32_t sum = 0;
        for (int32_t tap = 0; tap < s->height * s->width; tap++) {
            for (int32_t k = 0; k < depth(layer, depthwise); k++) {
                sum += layer->weights[weight_at(layer, depthwise, channel, tap, k)];
            }
        }
        own_bias[channel] = draw(-LARGEST_BIAS, LARGEST_BIAS);
        bias[channel] = own_bias[channel] - layer->input_zero_point * sum;
        draw_factor(&multiplier[channel], &shift[channel]);
    }
}

static void compare(const char *kind, int32_t number, int32_t size)
{
    for (int32_t i = 0; i < size; i++) {
        if (found[i] != expected[i]) {
            printf("%s %" PRId32 ": output %" PRId32 " is %d, not %d\n", kind, number, i, found[i],
                   expected[i]);
            exit(1);
        }
    }
}

/* Whether such a layer could be drawn. */
static bool try_convolution(const char *kind, int32_t number, bool depthwise)
{
    struct crydistill_conv layer = {draw_shape(depthwise), draw(INT8_MIN, INT8_MAX), draw_output(),
                                    NULL, bias, multiplier, shift, NULL};
    const struct crydistill_window_shape *s = &layer.shape;
    if (!fits(s, depthwise)) {
        return false;
    }
    const int8_t *image =
        draw_values(input, (size_t)(s->input_height * s->input_width * s->input_channels));
    layer.weights = draw_values(
        weights, (size_t)(s->height * s->width * s->output_channels * depth(&layer, depthwise)));
    draw_channels(&layer, depthwise);
    int32_t size = 0;
    for (int32_t y = 0; y < s->output_height; y++) {
        for (int32_t x = 0; x < s->output_width; x++) {
            for (int32_t channel = 0; channel < s->output_channels; channel++) {
                expected[size++] = convolve_at(&layer, depthwise, image, y, x, channel);
            }
        }
    }
    (depthwise ? crydistill_depthwise_conv_2d : crydistill_conv_2d)(&layer, image, found);
    compare(kind, number, size);
    return true;
}

static void try_dense(int32_t number)
{
    const int32_t inputs = draw(1, 1500), outputs = draw(1, 9);
    const int8_t *values = draw_values(input, (size_t)inputs);
    struct crydistill_dense layer = {inputs, outputs, draw(INT8_MIN, INT8_MAX), draw_output(),
                                     draw_values(weights, (size_t)(inputs * outputs)), bias, 0, 0,
                                     NULL};
    draw_factor(&layer.multiplier, &shift[0]);
    layer.shift = shift[0];
    for (int32_t unit = 0; unit < outputs; unit++) {
        int32_t sum = draw(-LARGEST_BIAS, LARGEST_BIAS), of_weights = 0;
        bias[unit] = sum;
        for (int32_t i = 0; i < inputs; i++) {
            const int32_t weight = layer.weights[unit * inputs + i];
            sum += (values[i] - layer.input_zero_point) * weight;
            of_weights += weight;
        }
        bias[unit] -= layer.input_zero_point * of_weights;
        expected[unit] =
            obvious_step(obvious_rescale(sum, layer.multiplier, layer.shift), &layer.output);
    }
    crydistill_fully_connected(&layer, values, found);
    compare("dense", number, outputs);
}

static void try_add(int32_t number)
{
    struct crydistill_add layer = {.size = draw(1, 300), .output = draw_output()};
    const int8_t *a = draw_values(input, (size_t)layer.size);
    const int8_t *b = draw_values(other, (size_t)layer.size);
    for (int i = 0; i < 2; i++) {
        layer.zero_point[i] = draw(INT8_MIN, INT8_MAX);
        draw_factor(&layer.multiplier[i], &shift[i]);
        layer.shift[i] = draw(-4, 0); /* a factor of at most a half */
        layer.multiplier[i] = layer.shift[i] == 0 ? 1 << 30 : layer.multiplier[i];
    }
    draw_factor(&layer.output_multiplier, &shift[0]);
    layer.output_shift = draw(-20, 0);
    for (int32_t i = 0; i < layer.size; i++) {
        const int32_t first = (a[i] - layer.zero_point[0]) * (1 << 20);
        const int32_t second = (b[i] - layer.zero_point[1]) * (1 << 20);
        const int32_t sum = obvious_rescale(first, layer.multiplier[0], layer.shift[0]) +
                            obvious_rescale(second, layer.multiplier[1], layer.shift[1]);
        expected[i] = obvious_step(
            obvious_rescale(sum, layer.output_multiplier, layer.output_shift), &layer.output);
    }
    crydistill_add_int8(&layer, a, b, found);
    compare("add", number, layer.size);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("kernels: wants a number of layers and a seed\n", stderr);
        return 2;
    }
    const int32_t layers = (int32_t)strtol(argv[1], NULL, 10);
    state = (uint32_t)strtoul(argv[2], NULL, 10);
    int32_t convolutions = 0, depthwise = 0;
    for (int32_t number = 0; number < layers; number++) {
        convolutions += try_convolution("conv", number, false);
        depthwise += try_convolution("depthwise", number, true);
        try_dense(number);
        try_add(number);
    }
    printf("conv %" PRId32 "\ndepthwise %" PRId32 "\ndense %" PRId32 "\nadd %" PRId32 "\n",
           convolutions, depthwise, layers, layers);
    return 0;
}
