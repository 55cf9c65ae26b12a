/* The front end: 16 kHz PCM in, log-mel frames out. The twin of crydistill.audio.mel in Python; its
 * tables are generated from the Python code (crydistill_tables.c).
 *
 * Window and FFT are in 32-bit integers. What follows, magnitudes to logarithms, is in single
 * precision for cores with an FPU, or, where CRYDISTILL_FIXED_POINT is defined, in integers too.
 * All of the library, and all that calls this front end, must be compiled one way, or it does not
 * link. */
#ifndef CRYDISTILL_MEL_H
#define CRYDISTILL_MEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crydistill_tables.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The natural logarithm of a band: as it is, or times 65,536. The functions that take or give it have
 * two names for the linker. */
#ifdef CRYDISTILL_FIXED_POINT
typedef int32_t crydistill_level;
#define crydistill_mel_init crydistill_mel_init_compiled_with_CRYDISTILL_FIXED_POINT
#define crydistill_mel_push crydistill_mel_push_compiled_with_CRYDISTILL_FIXED_POINT
#define crydistill_quantize crydistill_quantize_compiled_with_CRYDISTILL_FIXED_POINT
#else
typedef float crydistill_level;
#define crydistill_mel_init crydistill_mel_init_compiled_without_CRYDISTILL_FIXED_POINT
#define crydistill_mel_push crydistill_mel_push_compiled_without_CRYDISTILL_FIXED_POINT
#define crydistill_quantize crydistill_quantize_compiled_without_CRYDISTILL_FIXED_POINT
#endif

struct crydistill_point {
    int32_t re, im;
};

/* State of one stream of audio, 2.8 KB. */
struct crydistill_mel {
    int16_t samples[CRYDISTILL_FRAME_LENGTH]; /* of the frame that is being filled */
    uint16_t filled;
    struct crydistill_point work[CRYDISTILL_FFT_LENGTH / 2];
};

/* Start a stream. */
void crydistill_mel_init(struct crydistill_mel *mel);

/* Take samples until a frame is complete or there are no more. Returns how many were taken; if
 * `*complete`, `frame` holds the next log-mel frame and the call wants repeating with the rest.
 *
 *     while (n > 0) {
 *         size_t taken = crydistill_mel_push(&mel, pcm, n, frame, &complete);
 *         pcm += taken, n -= taken;
 *         if (complete) { ... }
 *     }
 */
size_t crydistill_mel_push(struct crydistill_mel *mel, const int16_t *pcm, size_t n,
                           crydistill_level frame[CRYDISTILL_MEL_BANDS], bool *complete);

#ifdef __cplusplus
}
#endif
#endif
