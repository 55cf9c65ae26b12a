/* Convolutions and dense layers.
 *
 * The bias of a layer holds minus the input's zero point times the sum of the channel's weights.
 * Then the sum of (value - zero point) x weight is that of value x weight, and a tap outside the
 * image, which adds nothing, is one whose value is the zero point. */
#include "crydistill_fours.h"

enum {
    GATHERED = 512, /* values under a filter that are gathered at a time */
    TAPS = 64,      /* of a depthwise convolution, at most, for four channels at a time */
    SLAB = 128      /* its channels that use the same list of taps; a multiple of four */
};

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* Where a window begins: the row and the column of its first tap. */
struct corner {
    int32_t row, column;
};

static struct corner corner_at(const struct crydistill_window_shape *s, int32_t position)
{
    const struct corner corner = {position / s->output_width * s->stride_height - s->pad_top,
                                  position % s->output_width * s->stride_width - s->pad_left};
    return corner;
}

/* Whether an output sees one pixel, whose channels are the filter's inputs just as they lie. Windows
 * of one tap are not padded. */
static bool is_pointwise(const struct crydistill_window_shape *s)
{
    return s->height == 1 && s->width == 1;
}

/* The values under the filter in its order, from number `from` up to `end`. Without gaps between
 * taps a row of them lies in a row of the image. */
static void gather(const struct crydistill_conv *layer, const int8_t *input, int32_t position,
                   int32_t from, int32_t end, int8_t *gathered)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const struct corner corner = corner_at(s, position);
    const int32_t runs = s->dilation_width == 1 ? 1 : s->width; /* in a row of taps */
    const int32_t run = s->width / runs * s->input_channels;
    const int32_t row_size = s->input_width * s->input_channels;
    while (from < end) {
        const int32_t number = from / run, skipped = from % run;
        const int32_t row = corner.row + number / runs * s->dilation_height;
        const int32_t column = corner.column + number % runs * s->dilation_width;
        const uint32_t inside = row >= 0 && row < s->input_height ? (uint32_t)row_size : 0;
        const int32_t stop = from + smaller(run - skipped, end - from);
        for (int32_t at = column * s->input_channels + skipped; from < stop; from++, at++) {
            *gathered++ = (uint32_t)at < inside ? input[row * row_size + at]
                                                : (int8_t)layer->input_zero_point;
        }
    }
}

/* Two positions of the output and the values under the filter there: in place or gathered. NULL if
 * the filter is too large for that. */
struct pair {
    const int8_t *input;
    int32_t first, second;
    const int8_t *under_first, *under_second;
};

static const int8_t *under_filter(const struct crydistill_conv *layer, const int8_t *input,
                                  int32_t position, int32_t size, int8_t *gathered)
{
    const struct crydistill_window_shape *s = &layer->shape;
    if (is_pointwise(s)) {
        const struct corner corner = corner_at(s, position);
        return input + (corner.row * s->input_width + corner.column) * s->input_channels;
    }
    if (size > GATHERED) {
        return NULL;
    }
    gather(layer, input, position, 0, size, gathered);
    return gathered;
}

/* For filters that are too large. */
CRYDISTILL_APART struct sums_2x2 dot_in_pieces(const struct crydistill_conv *layer,
                                               const struct pair *pair, struct sums_2x2 sums,
                                               const int8_t *filter, const int8_t *next_filter,
                                               int32_t size)
{
    int8_t gathered[2][GATHERED];
    for (int32_t from = 0; from < size; from += GATHERED) {
        const int32_t end = smaller(from + GATHERED, size);
        gather(layer, pair->input, pair->first, from, end, gathered[0]);
        gather(layer, pair->input, pair->second, from, end, gathered[1]);
        sums = dot_2x2(sums, gathered[0], gathered[1], filter + from, next_filter + from,
                       end - from);
    }
    return sums;
}

/* All channels of two positions, two at a time. Where their number is odd, the last one counts as
 * two: the same result is written to the same place. */
CRYDISTILL_APART void convolve(const struct crydistill_conv *layer, const struct pair *pair,
                               int8_t *first_row, int8_t *second_row)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const int32_t size = s->height * s->width * s->input_channels, channels = s->output_channels;
    const struct crydistill_output to = layer->output;
    const int8_t *filter = layer->weights;
    for (int32_t channel = 0; channel < channels; channel += 2, filter += 2 * size) {
        const int32_t next = smaller(channel + 1, channels - 1);
        const int8_t *const next_filter = filter + (next - channel) * size;
        const int32_t bias = layer->bias[channel], next_bias = layer->bias[next];
        struct sums_2x2 sums = {bias, next_bias, bias, next_bias};
        sums = pair->under_first == NULL
                   ? dot_in_pieces(layer, pair, sums, filter, next_filter, size)
                   : dot_2x2(sums, pair->under_first, pair->under_second, filter, next_filter, size);
        int32_t multiplier = layer->multiplier[channel], shift = layer->shift[channel];
        first_row[channel] = requantize(sums.a0_b0, multiplier, shift, &to);
        second_row[channel] = requantize(sums.a1_b0, multiplier, shift, &to);
        multiplier = layer->multiplier[next], shift = layer->shift[next];
        first_row[next] = requantize(sums.a0_b1, multiplier, shift, &to);
        second_row[next] = requantize(sums.a1_b1, multiplier, shift, &to);
    }
}

void crydistill_conv_2d(const struct crydistill_conv *layer, const int8_t *input, int8_t *output)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const int32_t positions = s->output_height * s->output_width;
    const int32_t size = s->height * s->width * s->input_channels;
    int8_t gathered[2][GATHERED];
    for (int32_t first = 0; first < positions; first += 2) {
        const int32_t second = smaller(first + 1, positions - 1);
        const struct pair pair = {input, first, second,
                                  under_filter(layer, input, first, size, gathered[0]),
                                  under_filter(layer, input, second, size, gathered[1])};
        convolve(layer, &pair, output + first * s->output_channels,
                 output + second * s->output_channels);
    }
}

/* Where the channels of tap r, c begin; outside the image, `outside`. */
static const int8_t *tap_at(const struct crydistill_window_shape *s, const int8_t *input,
                            struct corner corner, int32_t r, int32_t c, const int8_t *outside)
{
    const int32_t row = corner.row + r * s->dilation_height;
    const int32_t column = corner.column + c * s->dilation_width;
    if (row < 0 || row >= s->input_height || column < 0 || column >= s->input_width) {
        return outside;
    }
    return input + (row * s->input_width + column) * s->input_channels;
}

static void list_taps(const struct crydistill_window_shape *s, const int8_t *input,
                      struct corner corner, const int8_t *outside, const int8_t **tap)
{
    for (int32_t r = 0; r < s->height; r++) {
        for (int32_t c = 0; c < s->width; c++) {
            *tap++ = tap_at(s, input, corner, r, c, outside);
        }
    }
}

/* One channel of a window of any shape. */
static void depthwise_one(const struct crydistill_conv *layer, const int8_t *input,
                          struct corner corner, int32_t channel, int8_t *output)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const int32_t source = channel / (s->output_channels / s->input_channels);
    const int8_t zero_point = (int8_t)layer->input_zero_point;
    const int8_t *weight = layer->weights + channel;
    int32_t sum = layer->bias[channel];
    for (int32_t r = 0; r < s->height; r++) {
        for (int32_t c = 0; c < s->width; c++, weight += s->output_channels) {
            sum += *tap_at(s, input + source, corner, r, c, &zero_point) * *weight;
        }
    }
    output[channel] =
        requantize(sum, layer->multiplier[channel], layer->shift[channel], &layer->output);
}

/* As many channels of a window as make fours, four at a time: the number of these. Needs one output
 * per input and at most TAPS taps; otherwise there are none. */
static int32_t depthwise_fours(const struct crydistill_conv *layer, const int8_t *input,
                               struct corner corner, const int8_t zero_points[SLAB],
                               int8_t *output)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const struct crydistill_output to = layer->output;
    const int32_t channels = s->output_channels, taps = s->height * s->width;
    const int8_t *tap[TAPS];
    if (channels != s->input_channels || taps > TAPS) {
        return 0;
    }
    for (int32_t channel = 0; channel < channels / 4 * 4; channel += 4) {
        if (channel % SLAB == 0) {
            list_taps(s, input + channel, corner, zero_points, tap);
        }
        const struct sums_4 sums = add_taps(sums_from(layer->bias + channel), tap, taps, channel % SLAB,
                                       layer->weights + channel, channels);
        requantize_4(sums, layer->multiplier + channel, layer->shift + channel, &to,
                     output + channel);
    }
    return channels / 4 * 4;
}

void crydistill_depthwise_conv_2d(const struct crydistill_conv *layer, const int8_t *input,
                                  int8_t *output)
{
    const struct crydistill_window_shape *s = &layer->shape;
    int8_t zero_points[SLAB];
    memset(zero_points, layer->input_zero_point, sizeof zero_points);
    for (int32_t position = 0; position < s->output_height * s->output_width; position++) {
        const struct corner corner = corner_at(s, position);
        int32_t channel = depthwise_fours(layer, input, corner, zero_points, output);
        for (; channel < s->output_channels; channel++) {
            depthwise_one(layer, input, corner, channel, output);
        }
        output += s->output_channels;
    }
}

void crydistill_fully_connected(const struct crydistill_dense *layer, const int8_t *input,
                                int8_t *output)
{
    const struct crydistill_output to = layer->output;
    const int8_t *row = layer->weights;
    for (int32_t unit = 0; unit < layer->outputs; unit++, row += layer->inputs) {
        const int32_t sum = dot(layer->bias[unit], input, row, layer->inputs);
        output[unit] = requantize(sum, layer->multiplier, layer->shift, &to);
    }
}
