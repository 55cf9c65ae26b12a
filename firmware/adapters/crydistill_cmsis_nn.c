/* CMSIS-NN: tensors are batch x height x width x channel, offsets are added to what they belong to
 * (so that of an input is minus its zero point), padding is what comes before the first row and
 * column. Source: the comments of its header arm_nnfunctions.h. */
#include "crydistill_cmsis_nn.h"

#include <arm_nnfunctions.h>

#ifdef CMSIS_NN_USE_SINGLE_ROUNDING
#error "CMSIS_NN_USE_SINGLE_ROUNDING: TensorFlow Lite Micro rounds twice; compile without it"
#endif

enum { ADD_FRACTION_BITS = 20 /* of the sum's terms in struct crydistill_add */ };

static cmsis_nn_dims dims(int32_t n, int32_t height, int32_t width, int32_t channels)
{
    const cmsis_nn_dims dims = {.n = n, .h = height, .w = width, .c = channels};
    return dims;
}

static cmsis_nn_dims input_dims(const struct crydistill_window_shape *s)
{
    return dims(1, s->input_height, s->input_width, s->input_channels);
}

static cmsis_nn_dims output_dims(const struct crydistill_window_shape *s)
{
    return dims(1, s->output_height, s->output_width, s->output_channels);
}

static cmsis_nn_activation activation(const struct crydistill_output *to)
{
    const cmsis_nn_activation activation = {.min = to->smallest, .max = to->largest};
    return activation;
}

static cmsis_nn_context scratch(const struct crydistill_vendor *vendor, int8_t *output)
{
    const cmsis_nn_context none = {.buf = NULL, .size = 0};
    const cmsis_nn_context planned = {.buf = output + vendor->scratch,
                                      .size = vendor->scratch_bytes};
    return vendor->scratch_bytes > 0 ? planned : none;
}

/* CMSIS-NN reads what these point to. */
static cmsis_nn_per_channel_quant_params factors(const struct crydistill_conv *layer)
{
    const cmsis_nn_per_channel_quant_params factors = {.multiplier = (int32_t *)layer->multiplier,
                                                       .shift = (int32_t *)layer->vendor->shift};
    return factors;
}

static cmsis_nn_conv_params conv_params(const struct crydistill_conv *layer)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const cmsis_nn_conv_params params = {
        .input_offset = -layer->input_zero_point,
        .output_offset = layer->output.zero_point,
        .stride = {.w = s->stride_width, .h = s->stride_height},
        .padding = {.w = s->pad_left, .h = s->pad_top},
        .dilation = {.w = s->dilation_width, .h = s->dilation_height},
        .activation = activation(&layer->output),
    };
    return params;
}

static cmsis_nn_dims conv_filter(const struct crydistill_window_shape *s)
{
    return dims(s->output_channels, s->height, s->width, s->input_channels);
}

bool crydistill_cmsis_nn_conv_2d_fits(const struct crydistill_conv *layer)
{
    const cmsis_nn_conv_params params = conv_params(layer);
    const cmsis_nn_dims in = input_dims(&layer->shape), out = output_dims(&layer->shape);
    const cmsis_nn_dims filter = conv_filter(&layer->shape);
    const int32_t needed = arm_convolve_wrapper_s8_get_buffer_size(&params, &in, &filter, &out);
    return needed <= layer->vendor->scratch_bytes;
}

void crydistill_cmsis_nn_conv_2d(const struct crydistill_conv *layer, const int8_t *input,
                                 int8_t *output)
{
    arm_cmsis_nn_status status = ARM_CMSIS_NN_NO_IMPL_ERROR;
    if (layer->vendor != NULL) {
        const cmsis_nn_context context = scratch(layer->vendor, output);
        const cmsis_nn_conv_params params = conv_params(layer);
        const cmsis_nn_per_channel_quant_params quant = factors(layer);
        const cmsis_nn_dims in = input_dims(&layer->shape), out = output_dims(&layer->shape);
        const cmsis_nn_dims filter = conv_filter(&layer->shape);
        const cmsis_nn_dims bias = dims(1, 1, 1, layer->shape.output_channels);
        status = arm_convolve_wrapper_s8(&context, &params, &quant, &in, input, &filter,
                                         layer->weights, &bias, layer->vendor->bias, &out, output);
    }
    if (status != ARM_CMSIS_NN_SUCCESS) {
        crydistill_conv_2d(layer, input, output);
    }
}

static cmsis_nn_dw_conv_params depthwise_params(const struct crydistill_conv *layer)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const cmsis_nn_conv_params params = conv_params(layer);
    const cmsis_nn_dw_conv_params depthwise = {
        .input_offset = params.input_offset,
        .output_offset = params.output_offset,
        .ch_mult = s->output_channels / s->input_channels,
        .stride = params.stride,
        .padding = params.padding,
        .dilation = params.dilation,
        .activation = params.activation,
    };
    return depthwise;
}

static cmsis_nn_dims depthwise_filter(const struct crydistill_window_shape *s)
{
    return dims(1, s->height, s->width, s->output_channels);
}

bool crydistill_cmsis_nn_depthwise_conv_2d_fits(const struct crydistill_conv *layer)
{
    const cmsis_nn_dw_conv_params params = depthwise_params(layer);
    const cmsis_nn_dims in = input_dims(&layer->shape), out = output_dims(&layer->shape);
    const cmsis_nn_dims filter = depthwise_filter(&layer->shape);
    const int32_t needed =
        arm_depthwise_conv_wrapper_s8_get_buffer_size(&params, &in, &filter, &out);
    return needed <= layer->vendor->scratch_bytes;
}

void crydistill_cmsis_nn_depthwise_conv_2d(const struct crydistill_conv *layer,
                                           const int8_t *input, int8_t *output)
{
    arm_cmsis_nn_status status = ARM_CMSIS_NN_NO_IMPL_ERROR;
    if (layer->vendor != NULL) {
        const cmsis_nn_context context = scratch(layer->vendor, output);
        const cmsis_nn_dw_conv_params params = depthwise_params(layer);
        const cmsis_nn_per_channel_quant_params quant = factors(layer);
        const cmsis_nn_dims in = input_dims(&layer->shape), out = output_dims(&layer->shape);
        const cmsis_nn_dims filter = depthwise_filter(&layer->shape);
        const cmsis_nn_dims bias = dims(1, 1, 1, layer->shape.output_channels);
        status = arm_depthwise_conv_wrapper_s8(&context, &params, &quant, &in, input, &filter,
                                               layer->weights, &bias, layer->vendor->bias, &out,
                                               output);
    }
    if (status != ARM_CMSIS_NN_SUCCESS) {
        crydistill_depthwise_conv_2d(layer, input, output);
    }
}

/* With Helium, versions differ in what arm_fully_connected_s8 wants to find in its buffer: sums of
 * weights in 5.0, biases with them in 7.0. There, dense layers stay with the library. */
void crydistill_cmsis_nn_fully_connected(const struct crydistill_dense *layer,
                                         const int8_t *input, int8_t *output)
{
    arm_cmsis_nn_status status = ARM_CMSIS_NN_NO_IMPL_ERROR;
#ifndef ARM_MATH_MVEI
    if (layer->vendor != NULL) {
        const cmsis_nn_context context = {.buf = NULL, .size = 0};
        const cmsis_nn_fc_params params = {
            .input_offset = -layer->input_zero_point,
            .filter_offset = 0,
            .output_offset = layer->output.zero_point,
            .activation = activation(&layer->output),
        };
        const cmsis_nn_per_tensor_quant_params quant = {.multiplier = layer->multiplier,
                                                        .shift = layer->shift};
        const cmsis_nn_dims in = dims(1, 1, 1, layer->inputs), out = dims(1, 1, 1, layer->outputs);
        const cmsis_nn_dims filter = dims(layer->inputs, 1, 1, layer->outputs);
        status = arm_fully_connected_s8(&context, &params, &quant, &in, input, &filter,
                                        layer->weights, &out, layer->vendor->bias, &out, output);
    }
#endif
    if (status != ARM_CMSIS_NN_SUCCESS) {
        crydistill_fully_connected(layer, input, output);
    }
}

bool crydistill_cmsis_nn_average_pool_2d_fits(const struct crydistill_pool *layer)
{
    const struct crydistill_window_shape *s = &layer->shape;
    const int32_t needed = arm_avgpool_s8_get_buffer_size(s->output_width, s->input_channels);
    return needed <= layer->vendor->scratch_bytes;
}

void crydistill_cmsis_nn_average_pool_2d(const struct crydistill_pool *layer, const int8_t *input,
                                         int8_t *output)
{
    arm_cmsis_nn_status status = ARM_CMSIS_NN_NO_IMPL_ERROR;
    if (layer->vendor != NULL) {
        const struct crydistill_window_shape *s = &layer->shape;
        const cmsis_nn_context context = scratch(layer->vendor, output);
        const cmsis_nn_pool_params params = {
            .stride = {.w = s->stride_width, .h = s->stride_height},
            .padding = {.w = s->pad_left, .h = s->pad_top},
            .activation = activation(&layer->output),
        };
        const cmsis_nn_dims in = input_dims(s), out = output_dims(s);
        const cmsis_nn_dims filter = dims(1, s->height, s->width, 1);
        status = arm_avgpool_s8(&context, &params, &in, input, &filter, &out, output);
    }
    if (status != ARM_CMSIS_NN_SUCCESS) {
        crydistill_average_pool_2d(layer, input, output);
    }
}

void crydistill_cmsis_nn_add(const struct crydistill_add *layer, const int8_t *a, const int8_t *b,
                             int8_t *output)
{
    const struct crydistill_output *to = &layer->output;
    const arm_cmsis_nn_status status = arm_elementwise_add_s8(
        a, b, -layer->zero_point[0], layer->multiplier[0], layer->shift[0], -layer->zero_point[1],
        layer->multiplier[1], layer->shift[1], ADD_FRACTION_BITS, output, to->zero_point,
        layer->output_multiplier, layer->output_shift, to->smallest, to->largest, layer->size);
    if (status != ARM_CMSIS_NN_SUCCESS) {
        crydistill_add_int8(layer, a, b, output);
    }
}
