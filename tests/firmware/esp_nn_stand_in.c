/* In the place of ESP-NN: its functions by their documented contract, in plain C. It stops the
 * program where the caller breaks the contract. Like ESP-NN it does not look at dilation. */
#include <esp_nn.h>

#include "stand_in.h"

static void *conv_scratch, *depthwise_scratch;

static struct image image_of(const data_dims_t *dims)
{
    return (struct image){dims->height, dims->width, dims->channels};
}

static struct steps steps_of(const data_2d_t *stride, const data_2d_t *padding)
{
    return (struct steps){stride->height, stride->width, padding->height, padding->width, 1, 1};
}

void esp_nn_set_conv_scratch_buf(const void *buf)
{
    conv_scratch = (void *)(uintptr_t)buf;
}

void esp_nn_set_depthwise_conv_scratch_buf(const void *buf)
{
    depthwise_scratch = (void *)(uintptr_t)buf;
}

/* An offset for each output channel. */
int esp_nn_get_conv_scratch_size(const data_dims_t *input_dims, const data_dims_t *filter_dims,
                                 const data_dims_t *output_dims, const conv_params_t *conv_params)
{
    (void)input_dims;
    (void)filter_dims;
    (void)conv_params;
    return (int)(4 * output_dims->channels) + GREED;
}

/* The filter once more. */
int esp_nn_get_depthwise_conv_scratch_size(const data_dims_t *input_dims,
                                           const data_dims_t *filter_dims,
                                           const data_dims_t *output_dims,
                                           const dw_conv_params_t *conv_params)
{
    (void)output_dims;
    const int32_t taps = filter_dims->width * filter_dims->height;
    return (int)(conv_params->ch_mult == 1 ? taps * input_dims->channels : 16) + GREED;
}

void esp_nn_conv_s8(const data_dims_t *input_dims, const int8_t *input_data,
                    const data_dims_t *filter_dims, const int8_t *filter_data, const int32_t *bias,
                    const data_dims_t *output_dims, int8_t *out_data,
                    const conv_params_t *conv_params, const quant_data_t *quant_data)
{
    require(filter_dims->channels == input_dims->channels);
    const int size =
        esp_nn_get_conv_scratch_size(input_dims, filter_dims, output_dims, conv_params);
    const struct convolution c = {
        .in = image_of(input_dims),
        .filter = image_of(filter_dims),
        .out = image_of(output_dims),
        .steps = steps_of(&conv_params->stride, &conv_params->padding),
        .input_offset = conv_params->in_offset,
        .input = input_data,
        .weights = filter_data,
        .bias = bias,
    };
    const struct factors f = {quant_data->mult, quant_data->shift, conv_params->out_offset,
                              conv_params->activation.min, conv_params->activation.max};
    spoil(conv_scratch, size, 0x55);
    convolve_all(&c, &f, out_data);
    spoil(conv_scratch, size, 0xaa);
}

void esp_nn_depthwise_conv_s8(const data_dims_t *input_dims, const int8_t *input_data,
                              const data_dims_t *filter_dims, const int8_t *filter_data,
                              const int32_t *bias, const data_dims_t *output_dims,
                              int8_t *out_data, const dw_conv_params_t *conv_params,
                              const quant_data_t *quant_data)
{
    require(conv_params->ch_mult * input_dims->channels == output_dims->channels);
    const int size =
        esp_nn_get_depthwise_conv_scratch_size(input_dims, filter_dims, output_dims, conv_params);
    const struct convolution c = {
        .in = image_of(input_dims),
        .filter = image_of(filter_dims),
        .out = image_of(output_dims),
        .steps = steps_of(&conv_params->stride, &conv_params->padding),
        .input_offset = conv_params->in_offset,
        .input = input_data,
        .weights = filter_data,
        .bias = bias,
        .depthwise = true,
    };
    const struct factors f = {quant_data->mult, quant_data->shift, conv_params->out_offset,
                              conv_params->activation.min, conv_params->activation.max};
    spoil(depthwise_scratch, size, 0x55);
    convolve_all(&c, &f, out_data);
    spoil(depthwise_scratch, size, 0xaa);
}

void esp_nn_fully_connected_s8(const int8_t *input_data, const int32_t input_offset,
                               const uint16_t row_len, const int8_t *filter_data,
                               const int32_t filter_offset, const int32_t *bias, int8_t *out_data,
                               const uint16_t out_channels, const int32_t out_offset,
                               const int32_t out_shift, const int32_t out_mult,
                               const int32_t activation_min, const int32_t activation_max)
{
    require(filter_offset == 0 && (uintptr_t)input_data % 16 == 0);
    const struct factors f = {NULL, NULL, out_offset, activation_min, activation_max};
    dense_all(input_data, row_len, input_offset, filter_data, bias, out_channels, out_mult,
              out_shift, &f, out_data);
}

void esp_nn_avg_pool_s8(const int8_t *input, const uint16_t input_wd, const uint16_t input_ht,
                        int8_t *output, const uint16_t output_wd, const uint16_t output_ht,
                        const uint16_t stride_wd, const uint16_t stride_ht,
                        const uint16_t filter_wd, const uint16_t filter_ht, const uint16_t pad_wd,
                        const uint16_t pad_ht, const int32_t activation_min,
                        const int32_t activation_max, const uint16_t channels)
{
    require(channels % 4 == 0);
    const struct image in = {input_ht, input_wd, channels}, filter = {filter_ht, filter_wd, 1};
    const struct image out = {output_ht, output_wd, channels};
    const struct steps steps = {stride_ht, stride_wd, pad_ht, pad_wd, 1, 1};
    const struct factors f = {NULL, NULL, 0, activation_min, activation_max};
    pool_all(&in, input, &filter, &steps, &out, &f, output);
}

void esp_nn_add_elementwise_s8(const int8_t *input1_data, const int8_t *input2_data,
                               const int32_t input1_offset, const int32_t input2_offset,
                               const int32_t input1_mult, const int32_t input2_mult,
                               const int32_t input1_shift, const int32_t input2_shift,
                               const int32_t left_shift, int8_t *output, const int32_t out_offset,
                               const int32_t out_mult, const int32_t out_shift,
                               const int32_t activation_min, const int32_t activation_max,
                               const int32_t size)
{
    require(input1_shift <= 0 && input2_shift <= 0 && out_shift <= 0);
    const struct term a = {input1_data, input1_offset, input1_mult, input1_shift};
    const struct term b = {input2_data, input2_offset, input2_mult, input2_shift};
    const struct factors f = {NULL, NULL, out_offset, activation_min, activation_max};
    add_all(&a, &b, left_shift, out_mult, out_shift, &f, size, output);
}
