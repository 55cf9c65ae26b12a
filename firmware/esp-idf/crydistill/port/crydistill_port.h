/* Between the library and a microphone: samples of 32 bits to 16, and their level. Portable. */
#ifndef CRYDISTILL_PORT_H
#define CRYDISTILL_PORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a microphone delivered since the counters were last set to 0. */
struct crydistill_level_meter {
    uint32_t samples, clipped;
    uint64_t energy; /* sum of squares of the 16-bit samples */
};

/* The upper 16 of 32 bits after a gain of 2^gain_bits, clipped; `meter` counts. */
void crydistill_amplify(const int32_t *raw, int16_t *pcm, size_t n, int gain_bits,
                        struct crydistill_level_meter *meter);

/* Tenths of a decibel of full scale, -1000 for silence. A full-scale sine has -30. */
int32_t crydistill_level_decibels(const struct crydistill_level_meter *meter);

#ifdef __cplusplus
}
#endif
#endif
