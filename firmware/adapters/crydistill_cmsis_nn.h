/* Kernels that hand a layer's fields to Arm's CMSIS-NN, versions 4.1 to 8.0, whose sources the build
 * brings. Students exported with `--kernels cmsis-nn` use them; the results are the same bytes.
 *
 * Layers without `vendor`, and those that CMSIS-NN refuses, go to the library's own kernels. */
#ifndef CRYDISTILL_CMSIS_NN_H
#define CRYDISTILL_CMSIS_NN_H

#include "crydistill_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

void crydistill_cmsis_nn_conv_2d(const struct crydistill_conv *, const int8_t *input,
                                 int8_t *output);
void crydistill_cmsis_nn_depthwise_conv_2d(const struct crydistill_conv *, const int8_t *input,
                                           int8_t *output);
void crydistill_cmsis_nn_fully_connected(const struct crydistill_dense *, const int8_t *input,
                                         int8_t *output);
void crydistill_cmsis_nn_average_pool_2d(const struct crydistill_pool *, const int8_t *input,
                                         int8_t *output);
void crydistill_cmsis_nn_add(const struct crydistill_add *, const int8_t *a, const int8_t *b,
                             int8_t *output);

/* Whether the layer has as much scratch memory as CMSIS-NN asks for, on the core that this is
 * compiled for. */
bool crydistill_cmsis_nn_conv_2d_fits(const struct crydistill_conv *);
bool crydistill_cmsis_nn_depthwise_conv_2d_fits(const struct crydistill_conv *);
bool crydistill_cmsis_nn_average_pool_2d_fits(const struct crydistill_pool *);

#ifdef __cplusplus
}
#endif
#endif
