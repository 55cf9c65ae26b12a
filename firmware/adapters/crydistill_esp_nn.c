/* ESP-NN: tensors are height x width x channel, offsets are added to what they belong to (so that of
 * an input is minus its zero point), padding is what comes before the first row and column. Source:
 * the comments of its headers esp_nn_defs.h and esp_nn_ansi_headers.h. */
#include "crydistill_esp_nn.h"

#include <esp_nn.h>

enum { ADD_FRACTION_BITS = 20 /* of the sum's terms in struct crydistill_add */ };

static data_dims_t input_dims(const struct crydistill_window_shape *s)
{
    const data_dims_t dims = {s->input_width, s->input_height, s->input_channels, 1};
    return dims;
}

static data_dims_t output_dims(const struct crydistill_window_shape *s)
{
    const data_dims_t dims = {s->output_width, s->output_height, s->output_channels, 1};
    return dims;
}

/* channels: that each output sees. Versions that know groups take another number than the input's for
 * a grouped convolution; those before, and depthwise ones, do not look at it. */
static data_dims_t filter_dims(const struct crydistill_window_shape *s, int32_t channels)
{
    const data_dims_t dims = {s->width, s->height, channels, 0};
    return dims;
}

/* ESP-NN reads what these point to. */
static quant_data_t factors(const struct crydistill_conv *layer)
{
    const quant_data_t factors = {.shift = (int32_t *)layer->vendor->shift,
                                  .mult = (int32_t *)layer->multiplier};
    return factors;
}

static conv_params_t conv_params(const struct crydistill_conv *layer)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const conv_params_t params = {
        .in_offset = -layer->input_zero_point,
        .out_offset = layer->output.zero_point,
        .stride = {.width = s->stride_width, .height = s->stride_height},
        .padding = {.width = s->pad_left, .height = s->pad_top},
        .dilation = {.width = s->dilation_width, .height = s->dilation_height},
        .activation = {.min = layer->output.smallest, .max = layer->output.largest},
    };
    return params;
}

bool crydistill_esp_nn_conv_2d_fits(const struct crydistill_conv *layer)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const data_dims_t in = input_dims(s), out = output_dims(s);
    const data_dims_t filter = filter_dims(s, s->input_channels);
    const conv_params_t params = conv_params(layer);
    return esp_nn_get_conv_scratch_size(&in, &filter, &out, &params) <=
           layer->vendor->scratch_bytes;
}

void crydistill_esp_nn_conv_2d(const struct crydistill_conv *layer, const int8_t *input,
                               int8_t *output)
{
    if (layer->vendor == NULL) {
        crydistill_conv_2d(layer, input, output);
        return;
    }
    const struct crydistill_window_shape *s = &layer->shape;
    const data_dims_t in = input_dims(s), out = output_dims(s);
    const data_dims_t filter = filter_dims(s, s->input_channels);
    const conv_params_t params = conv_params(layer);
    const quant_data_t quant = factors(layer);
    esp_nn_set_conv_scratch_buf(output + layer->vendor->scratch);
    esp_nn_conv_s8(&in, input, &filter, layer->weights, layer->vendor->bias, &out, output, &params,
                   &quant);
}

static dw_conv_params_t depthwise_params(const struct crydistill_conv *layer)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const conv_params_t params = conv_params(layer);
    const dw_conv_params_t depthwise = {
        .in_offset = params.in_offset,
        .out_offset = params.out_offset,
        .ch_mult = s->output_channels / s->input_channels,
        .stride = params.stride,
        .padding = params.padding,
        .dilation = params.dilation,
        .activation = params.activation,
    };
    return depthwise;
}

bool crydistill_esp_nn_depthwise_conv_2d_fits(const struct crydistill_conv *layer)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const data_dims_t in = input_dims(s), out = output_dims(s);
    const data_dims_t filter = filter_dims(s, 0);
    const dw_conv_params_t params = depthwise_params(layer);
    return esp_nn_get_depthwise_conv_scratch_size(&in, &filter, &out, &params) <=
           layer->vendor->scratch_bytes;
}

void crydistill_esp_nn_depthwise_conv_2d(const struct crydistill_conv *layer, const int8_t *input,
                                         int8_t *output)
{
    if (layer->vendor == NULL) {
        crydistill_depthwise_conv_2d(layer, input, output);
        return;
    }
    const struct crydistill_window_shape *s = &layer->shape;
    const data_dims_t in = input_dims(s), out = output_dims(s);
    const data_dims_t filter = filter_dims(s, 0);
    const dw_conv_params_t params = depthwise_params(layer);
    const quant_data_t quant = factors(layer);
    esp_nn_set_depthwise_conv_scratch_buf(output + layer->vendor->scratch);
    esp_nn_depthwise_conv_s8(&in, input, &filter, layer->weights, layer->vendor->bias, &out, output,
                             &params, &quant);
}

/* The export hands over only layers whose sizes have 16 bits. */
void crydistill_esp_nn_fully_connected(const struct crydistill_dense *layer, const int8_t *input,
                                       int8_t *output)
{
    if (layer->vendor == NULL) {
        crydistill_fully_connected(layer, input, output);
        return;
    }
    const struct crydistill_output *to = &layer->output;
    esp_nn_fully_connected_s8(input, -layer->input_zero_point, (uint16_t)layer->inputs,
                              layer->weights, 0, layer->vendor->bias, output,
                              (uint16_t)layer->outputs, to->zero_point, layer->shift,
                              layer->multiplier, to->smallest, to->largest);
}

void crydistill_esp_nn_average_pool_2d(const struct crydistill_pool *layer, const int8_t *input,
                                       int8_t *output)
{
    if (layer->vendor == NULL) {
        crydistill_average_pool_2d(layer, input, output);
        return;
    }
    const struct crydistill_window_shape *s = &layer->shape;
    const struct crydistill_output *to = &layer->output;
    esp_nn_avg_pool_s8(input, (uint16_t)s->input_width, (uint16_t)s->input_height, output,
                       (uint16_t)s->output_width, (uint16_t)s->output_height,
                       (uint16_t)s->stride_width, (uint16_t)s->stride_height, (uint16_t)s->width,
                       (uint16_t)s->height, (uint16_t)s->pad_left, (uint16_t)s->pad_top,
                       to->smallest, to->largest, (uint16_t)s->input_channels);
}

void crydistill_esp_nn_add(const struct crydistill_add *layer, const int8_t *a, const int8_t *b,
                           int8_t *output)
{
    const struct crydistill_output *to = &layer->output;
    esp_nn_add_elementwise_s8(a, b, -layer->zero_point[0], -layer->zero_point[1],
                              layer->multiplier[0], layer->multiplier[1], layer->shift[0],
                              layer->shift[1], ADD_FRACTION_BITS, output, to->zero_point,
                              layer->output_multiplier, layer->output_shift, to->smallest,
                              to->largest, layer->size);
}
