/* The student on TensorFlow Lite Micro instead of the library's own engine: on Espressif's chips
 * with the ESP-NN kernels, which are faster and want more memory. Front end, score and detector
 * stay the library's. */
#ifndef CRYDISTILL_TFLM_H
#define CRYDISTILL_TFLM_H

#include "crydistill.h"
#include "crydistill_tflite.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A model for crydistill_init, whose arena this is too: CRYDISTILL_TFLM_ARENA_BYTES, aligned to 16.
 * NULL if TensorFlow Lite Micro refuses. There can be one only. */
const struct crydistill_model *crydistill_tflm_init(const struct crydistill_model *model,
                                                    int8_t *arena);

#ifdef __cplusplus
}
#endif
#endif
