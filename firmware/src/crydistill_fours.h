/* Four neighbouring channels at a time: their sums in a depthwise convolution, and how these become
 * steps of the output. Part of the kernels. */
#ifndef CRYDISTILL_FOURS_H
#define CRYDISTILL_FOURS_H

#include "crydistill_dot.h"
#include "crydistill_requantize.h"

#ifdef CRYDISTILL_HELIUM

struct sums_4 {
    int32x4_t sums;
};

CRYDISTILL_INLINE struct sums_4 sums_from(const int32_t *bias)
{
    return (struct sums_4){vldrwq_s32(bias)};
}

/* As below. */
CRYDISTILL_INLINE struct sums_4 add_taps(struct sums_4 sums, const int8_t *const *tap, int32_t taps,
                                     int32_t at, const int8_t *weights, int32_t step)
{
    const int8_t *const *const end = tap + taps;
    for (; tap != end; tap++, weights += step) {
        sums.sums = vaddq_s32(sums.sums, vmulq_s32(vldrbq_s32(*tap + at), vldrbq_s32(weights)));
    }
    return sums;
}

/* `rescale` of four. The doubling multiplication rounds halves up; the shift to the right, too, so one
 * is taken from negative numbers that are shifted, as there. */
CRYDISTILL_INLINE int32x4_t rescale_4(int32x4_t x, int32x4_t multiplier, int32x4_t shift)
{
    const int32x4_t right = vminq_s32(shift, vdupq_n_s32(0));
    const int32x4_t left = vmaxq_s32(shift, vdupq_n_s32(0));
    const int32x4_t high = vqrdmulhq_s32(vshlq_s32(x, left), multiplier);
    return vrshlq_s32(vaddq_s32(high, vshrq_n_s32(vandq_s32(high, right), 31)), right);
}

CRYDISTILL_INLINE int32x4_t clamp_4(int32x4_t steps, const struct crydistill_output *to)
{
    steps = vmaxq_s32(vaddq_n_s32(steps, to->zero_point), vdupq_n_s32(to->smallest));
    return vminq_s32(steps, vdupq_n_s32(to->largest));
}

CRYDISTILL_INLINE void requantize_4(struct sums_4 sums, const int32_t *multiplier, const int8_t *shift,
                                const struct crydistill_output *to, int8_t *output)
{
    const int32x4_t steps = rescale_4(sums.sums, vldrwq_s32(multiplier), vldrbq_s32(shift));
    vstrbq_s32(output, clamp_4(steps, to));
}

#else

struct sums_4 {
    int32_t sum_0, sum_1, sum_2, sum_3;
};

CRYDISTILL_INLINE struct sums_4 sums_from(const int32_t *bias)
{
    return (struct sums_4){bias[0], bias[1], bias[2], bias[3]};
}

/* Channels of a depthwise convolution: for each tap the values `at` bytes behind its address, by the
 * weights, which are `step` bytes behind those of the tap before. */
CRYDISTILL_INLINE struct sums_4 add_taps(struct sums_4 sums, const int8_t *const *tap, int32_t taps,
                                     int32_t at, const int8_t *weights, int32_t step)
{
    const int8_t *const *const end = tap + taps;
    for (; tap != end; tap++, weights += step) {
        const int8_t *const values = *tap + at;
#ifdef CRYDISTILL_DSP
        const struct four a = load_four(values), b = load_four(weights);
        sums.sum_0 += (int16_t)a.even * (int16_t)b.even;
        sums.sum_1 += (int16_t)a.odd * (int16_t)b.odd;
        sums.sum_2 += ((int32_t)a.even >> 16) * ((int32_t)b.even >> 16);
        sums.sum_3 += ((int32_t)a.odd >> 16) * ((int32_t)b.odd >> 16);
#else
        sums.sum_0 += values[0] * weights[0];
        sums.sum_1 += values[1] * weights[1];
        sums.sum_2 += values[2] * weights[2];
        sums.sum_3 += values[3] * weights[3];
#endif
    }
    return sums;
}

CRYDISTILL_INLINE void requantize_4(struct sums_4 sums, const int32_t *multiplier, const int8_t *shift,
                                const struct crydistill_output *to, int8_t *output)
{
    output[0] = requantize(sums.sum_0, multiplier[0], shift[0], to);
    output[1] = requantize(sums.sum_1, multiplier[1], shift[1], to);
    output[2] = requantize(sums.sum_2, multiplier[2], shift[2], to);
    output[3] = requantize(sums.sum_3, multiplier[3], shift[3], to);
}

#endif
#endif
