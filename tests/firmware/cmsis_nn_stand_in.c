/* In the place of CMSIS-NN: its functions by their documented contract, in plain C. It stops the
 * program where the caller breaks the contract. With STAND_IN_REFUSES it computes nothing and says
 * so, as CMSIS-NN does of arguments that it has no kernel for. */
#include <arm_nnfunctions.h>

#include "stand_in.h"

#ifdef STAND_IN_REFUSES
#define REFUSE_IF_TOLD() return ARM_CMSIS_NN_ARG_ERROR
#else
#define REFUSE_IF_TOLD() (void)0
#endif

static struct image image_of(const cmsis_nn_dims *dims)
{
    return (struct image){dims->h, dims->w, dims->c};
}

static struct steps steps_of(const cmsis_nn_tile *stride, const cmsis_nn_tile *padding,
                             const cmsis_nn_tile *dilation)
{
    return (struct steps){stride->h, stride->w, padding->h, padding->w, dilation->h, dilation->w};
}

/* Two columns of 16-bit values, in fours. */
int32_t arm_convolve_wrapper_s8_get_buffer_size(const cmsis_nn_conv_params *conv_params,
                                                const cmsis_nn_dims *input_dims,
                                                const cmsis_nn_dims *filter_dims,
                                                const cmsis_nn_dims *output_dims)
{
    (void)output_dims;
    const bool pointwise = filter_dims->h == 1 && filter_dims->w == 1 &&
                           conv_params->stride.h == 1 && conv_params->stride.w == 1;
    const int32_t column = filter_dims->h * filter_dims->w * input_dims->c;
    return (pointwise ? 0 : 2 * ((column + 3) / 4 * 4) * (int32_t)sizeof(int16_t)) + GREED;
}

arm_cmsis_nn_status arm_convolve_wrapper_s8(
    const cmsis_nn_context *ctx, const cmsis_nn_conv_params *conv_params,
    const cmsis_nn_per_channel_quant_params *quant_params, const cmsis_nn_dims *input_dims,
    const int8_t *input_data, const cmsis_nn_dims *filter_dims, const int8_t *filter_data,
    const cmsis_nn_dims *bias_dims, const int32_t *bias_data, const cmsis_nn_dims *output_dims,
    int8_t *output_data)
{
    require(input_dims->n == 1 && output_dims->n == 1 && bias_dims->c == output_dims->c);
    require(filter_dims->n == output_dims->c && filter_dims->c == input_dims->c);
    require(ctx->size >= arm_convolve_wrapper_s8_get_buffer_size(conv_params, input_dims,
                                                                 filter_dims, output_dims));
    REFUSE_IF_TOLD();
    const struct convolution c = {
        .in = image_of(input_dims),
        .filter = image_of(filter_dims),
        .out = image_of(output_dims),
        .steps = steps_of(&conv_params->stride, &conv_params->padding, &conv_params->dilation),
        .input_offset = conv_params->input_offset,
        .input = input_data,
        .weights = filter_data,
        .bias = bias_data,
    };
    const struct factors f = {quant_params->multiplier, quant_params->shift,
                              conv_params->output_offset, conv_params->activation.min,
                              conv_params->activation.max};
    spoil(ctx->buf, ctx->size, 0x55);
    convolve_all(&c, &f, output_data);
    spoil(ctx->buf, ctx->size, 0xaa);
    return ARM_CMSIS_NN_SUCCESS;
}

/* A filter of 16-bit values. */
int32_t arm_depthwise_conv_wrapper_s8_get_buffer_size(
    const cmsis_nn_dw_conv_params *dw_conv_params, const cmsis_nn_dims *input_dims,
    const cmsis_nn_dims *filter_dims, const cmsis_nn_dims *output_dims)
{
    (void)output_dims;
    const int32_t taps = filter_dims->h * filter_dims->w;
    const bool widened = dw_conv_params->ch_mult == 1 && dw_conv_params->dilation.h == 1 &&
                         dw_conv_params->dilation.w == 1;
    return (widened ? input_dims->c * taps * (int32_t)sizeof(int16_t) : 0) + GREED;
}

arm_cmsis_nn_status arm_depthwise_conv_wrapper_s8(
    const cmsis_nn_context *ctx, const cmsis_nn_dw_conv_params *dw_conv_params,
    const cmsis_nn_per_channel_quant_params *quant_params, const cmsis_nn_dims *input_dims,
    const int8_t *input_data, const cmsis_nn_dims *filter_dims, const int8_t *filter_data,
    const cmsis_nn_dims *bias_dims, const int32_t *bias_data, const cmsis_nn_dims *output_dims,
    int8_t *output_data)
{
    require(input_dims->n == 1 && output_dims->n == 1 && bias_dims->c == output_dims->c);
    require(filter_dims->n == 1 && filter_dims->c == output_dims->c);
    require(dw_conv_params->ch_mult * input_dims->c == output_dims->c);
    require(ctx->size >= arm_depthwise_conv_wrapper_s8_get_buffer_size(dw_conv_params, input_dims,
                                                                       filter_dims, output_dims));
    REFUSE_IF_TOLD();
    const struct convolution c = {
        .in = image_of(input_dims),
        .filter = image_of(filter_dims),
        .out = image_of(output_dims),
        .steps =
            steps_of(&dw_conv_params->stride, &dw_conv_params->padding, &dw_conv_params->dilation),
        .input_offset = dw_conv_params->input_offset,
        .input = input_data,
        .weights = filter_data,
        .bias = bias_data,
        .depthwise = true,
    };
    const struct factors f = {quant_params->multiplier, quant_params->shift,
                              dw_conv_params->output_offset, dw_conv_params->activation.min,
                              dw_conv_params->activation.max};
    spoil(ctx->buf, ctx->size, 0x55);
    convolve_all(&c, &f, output_data);
    spoil(ctx->buf, ctx->size, 0xaa);
    return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_fully_connected_s8(
    const cmsis_nn_context *ctx, const cmsis_nn_fc_params *fc_params,
    const cmsis_nn_per_tensor_quant_params *quant_params, const cmsis_nn_dims *input_dims,
    const int8_t *input_data, const cmsis_nn_dims *filter_dims, const int8_t *filter_data,
    const cmsis_nn_dims *bias_dims, const int32_t *bias_data, const cmsis_nn_dims *output_dims,
    int8_t *output_data)
{
    (void)ctx;
    require(input_dims->n == 1 && output_dims->n == 1 && bias_dims->c == output_dims->c);
    require(filter_dims->c == output_dims->c);
    require(filter_dims->n == input_dims->h * input_dims->w * input_dims->c);
    require(fc_params->filter_offset == 0);
    REFUSE_IF_TOLD();
    const struct factors f = {NULL, NULL, fc_params->output_offset, fc_params->activation.min,
                              fc_params->activation.max};
    dense_all(input_data, filter_dims->n, fc_params->input_offset, filter_data, bias_data,
              output_dims->c, quant_params->multiplier, quant_params->shift, &f, output_data);
    return ARM_CMSIS_NN_SUCCESS;
}

int32_t arm_avgpool_s8_get_buffer_size(const int dim_dst_width, const int ch_src)
{
    (void)dim_dst_width;
    return ch_src * (int32_t)sizeof(int32_t) + GREED;
}

arm_cmsis_nn_status arm_avgpool_s8(const cmsis_nn_context *ctx,
                                   const cmsis_nn_pool_params *pool_params,
                                   const cmsis_nn_dims *input_dims, const int8_t *input_data,
                                   const cmsis_nn_dims *filter_dims,
                                   const cmsis_nn_dims *output_dims, int8_t *output_data)
{
    require(input_dims->n == 1 && output_dims->n == 1 && input_dims->c == output_dims->c);
    require(ctx->size >= arm_avgpool_s8_get_buffer_size((int)output_dims->w, (int)input_dims->c));
    REFUSE_IF_TOLD();
    const cmsis_nn_tile together = {1, 1};
    const struct image in = image_of(input_dims), filter = image_of(filter_dims);
    const struct image out = image_of(output_dims);
    const struct steps steps = steps_of(&pool_params->stride, &pool_params->padding, &together);
    const struct factors f = {NULL, NULL, 0, pool_params->activation.min,
                              pool_params->activation.max};
    spoil(ctx->buf, ctx->size, 0x55);
    pool_all(&in, input_data, &filter, &steps, &out, &f, output_data);
    spoil(ctx->buf, ctx->size, 0xaa);
    return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_elementwise_add_s8(
    const int8_t *input_1_vect, const int8_t *input_2_vect, const int32_t input_1_offset,
    const int32_t input_1_mult, const int32_t input_1_shift, const int32_t input_2_offset,
    const int32_t input_2_mult, const int32_t input_2_shift, const int32_t left_shift,
    int8_t *output, const int32_t out_offset, const int32_t out_mult, const int32_t out_shift,
    const int32_t out_activation_min, const int32_t out_activation_max, const int32_t block_size)
{
    require(input_1_shift <= 0 && input_2_shift <= 0 && out_shift <= 0);
    REFUSE_IF_TOLD();
    const struct term a = {input_1_vect, input_1_offset, input_1_mult, input_1_shift};
    const struct term b = {input_2_vect, input_2_offset, input_2_mult, input_2_shift};
    const struct factors f = {NULL, NULL, out_offset, out_activation_min, out_activation_max};
    add_all(&a, &b, left_shift, out_mult, out_shift, &f, block_size, output);
    return ARM_CMSIS_NN_SUCCESS;
}
