/* The convolutions and dense layers of the library in their obvious form, one output after another, to
 * compare with: OBVIOUS=1 builds a program with these in the place of src/crydistill_conv.c. */
#include "crydistill_requantize.h"

/* The sum for one output of a convolution: its bias, and the products of `inputs` values from number
 * `first` on under each tap. The weights of a tap's inputs lie together, those of taps `step` apart. */
static int32_t sum_at(const struct crydistill_conv *layer, const int8_t *image, int32_t position,
                      int32_t first, int32_t inputs, int32_t bias, const int8_t *weights, int32_t step)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const int32_t y = position / s->output_width, x = position % s->output_width;
    for (int32_t r = 0; r < s->height; r++) {
        for (int32_t c = 0; c < s->width; c++, weights += step) {
            const int32_t row = y * s->stride_height - s->pad_top + r * s->dilation_height;
            const int32_t column = x * s->stride_width - s->pad_left + c * s->dilation_width;
            const bool inside =
                row >= 0 && row < s->input_height && column >= 0 && column < s->input_width;
            const int32_t at = (row * s->input_width + column) * s->input_channels + first;
            for (int32_t k = 0; k < inputs; k++) {
                bias += (inside ? image[at + k] : layer->input_zero_point) * weights[k];
            }
        }
    }
    return bias;
}

void crydistill_conv_2d(const struct crydistill_conv *layer, const int8_t *input, int8_t *output)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const int32_t inputs = s->input_channels, size = s->height * s->width * inputs;
    for (int32_t position = 0; position < s->output_height * s->output_width; position++) {
        for (int32_t i = 0; i < s->output_channels; i++) {
            const int32_t sum = sum_at(layer, input, position, 0, inputs, layer->bias[i],
                                       layer->weights + i * size, inputs);
            *output++ = requantize(sum, layer->multiplier[i], layer->shift[i], &layer->output);
        }
    }
}

void crydistill_depthwise_conv_2d(const struct crydistill_conv *layer, const int8_t *input,
                                  int8_t *output)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const int32_t channels = s->output_channels, outputs_per_input = channels / s->input_channels;
    for (int32_t position = 0; position < s->output_height * s->output_width; position++) {
        for (int32_t i = 0; i < channels; i++) {
            const int32_t sum = sum_at(layer, input, position, i / outputs_per_input, 1,
                                       layer->bias[i], layer->weights + i, channels);
            *output++ = requantize(sum, layer->multiplier[i], layer->shift[i], &layer->output);
        }
    }
}

void crydistill_fully_connected(const struct crydistill_dense *layer, const int8_t *input,
                                int8_t *output)
{
    for (int32_t unit = 0; unit < layer->outputs; unit++) {
        int32_t sum = layer->bias[unit];
        for (int32_t i = 0; i < layer->inputs; i++) {
            sum += input[i] * layer->weights[unit * layer->inputs + i];
        }
        output[unit] = requantize(sum, layer->multiplier, layer->shift, &layer->output);
    }
}
