/* From sums to steps of the output, as TFLite Micro rounds. Part of the kernels. */
#ifndef CRYDISTILL_REQUANTIZE_H
#define CRYDISTILL_REQUANTIZE_H

#include "crydistill_engine.h"
#include "crydistill_inline.h"

/* a x b / 2^32, rounded to nearest, halves up. b is not negative. */
CRYDISTILL_INLINE int32_t multiply_high(int32_t a, int32_t b)
{
#ifdef CRYDISTILL_NARROW_PRODUCTS
    /* The same in four products of 16 by 16 bits, none of which, with what is added to it, exceeds 32
     * bits. */
    const int32_t a_high = a >> 16, b_low = (int32_t)((uint32_t)b & 0xffffu);
    const uint32_t a_low = (uint32_t)a & 0xffffu, b_high = (uint32_t)b >> 16;
    const int32_t middle = a_high * b_low + (int32_t)((a_low * (uint32_t)b_low) >> 16);
    const uint32_t other = a_low * b_high + ((uint32_t)middle & 0xffffu) + (UINT32_C(1) << 15);
    return a_high * (int32_t)b_high + (middle >> 16) + (int32_t)(other >> 16);
#else
    const int64_t product = (int64_t)a * b;
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
#endif
}

/* x times multiplier / 2^31 times 2^shift, rounded to nearest after each of the two steps: first
 * halves up, then halves away from zero. |x| is less than 2^30, also when shifted to the left,
 * which the export checks: twice x by the multiplier has the first result in its upper half.
 * Relies on >> of a negative number being arithmetic, as it is with every compiler for these
 * targets. */
CRYDISTILL_INLINE int32_t rescale(int32_t x, int32_t multiplier, int32_t shift)
{
    if (shift >= 0) {
        return multiply_high((int32_t)((uint32_t)x << (shift + 1)), multiplier);
    }
    const int32_t high = multiply_high(2 * x, multiplier);
    /* All but the last bit shifted out, adding one rounds halves up. A negative number that is less
     * by one is rounded so, too, but for a half. */
    return (((high + (high >> 31)) >> ~shift) + 1) >> 1;
}

CRYDISTILL_INLINE int8_t clamp(int32_t step, const struct crydistill_output *to)
{
    step = step < to->smallest ? to->smallest : step;
    step = step > to->largest ? to->largest : step;
    return (int8_t)step;
}

/* `to` is the kernel's own copy of the layer's: nothing written to the output can change it. */
CRYDISTILL_INLINE int8_t requantize(int32_t sum, int32_t multiplier, int32_t shift,
                                const struct crydistill_output *to)
{
    return clamp(rescale(sum, multiplier, shift) + to->zero_point, to);
}

#endif
