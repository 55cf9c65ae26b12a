/* Kernels that hand a layer's fields to Espressif's ESP-NN, 1.2.6 or later, which the build brings.
 * Students exported with `--kernels esp-nn` use them; the results are the same bytes.
 *
 * Layers without `vendor` go to the library's own kernels. ESP-NN keeps the place of its scratch
 * memory in a variable: students that use it must run in one task. */
#ifndef CRYDISTILL_ESP_NN_H
#define CRYDISTILL_ESP_NN_H

#include "crydistill_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

void crydistill_esp_nn_conv_2d(const struct crydistill_conv *, const int8_t *input,
                               int8_t *output);
void crydistill_esp_nn_depthwise_conv_2d(const struct crydistill_conv *, const int8_t *input,
                                         int8_t *output);
void crydistill_esp_nn_fully_connected(const struct crydistill_dense *, const int8_t *input,
                                       int8_t *output);
void crydistill_esp_nn_average_pool_2d(const struct crydistill_pool *, const int8_t *input,
                                       int8_t *output);
void crydistill_esp_nn_add(const struct crydistill_add *, const int8_t *a, const int8_t *b,
                           int8_t *output);

/* Whether the layer has as much scratch memory as ESP-NN asks for, on the chip that this is compiled
 * for. */
bool crydistill_esp_nn_conv_2d_fits(const struct crydistill_conv *);
bool crydistill_esp_nn_depthwise_conv_2d_fits(const struct crydistill_conv *);

#ifdef __cplusplus
}
#endif
#endif
