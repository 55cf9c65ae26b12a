/* The front end's products of more than 32 bits, in two ways that give the same: from a multiplication of 32
 * by 32 bits to 64, and with CRYDISTILL_NARROW_PRODUCTS from halves. Part of crydistill_mel.c. */
#ifndef CRYDISTILL_PRODUCTS_H
#define CRYDISTILL_PRODUCTS_H

#include "crydistill_inline.h"
#include "crydistill_mel.h"

#include <stdint.h>

/* A product of 64 bits, divided by 2^bits, to nearest. Relies on >> of a negative number being arithmetic,
 * as it is with every compiler for these targets. */
CRYDISTILL_INLINE int32_t scaled(int64_t value, int bits)
{
    return (int32_t)((value + (INT64_C(1) << (bits - 1))) >> bits);
}

/* The upper half of word x 2^shift, which fits 64 bits. */
CRYDISTILL_INLINE uint32_t upper_half(uint64_t word, int shift)
{
    const uint32_t high = (uint32_t)(word >> 32), low = (uint32_t)word;
    if (shift >= 32) {
        return low << (shift - 32);
    }
    return shift == 0 ? high : high << shift | low >> (32 - shift);
}

/* An angle's cosine and sine, times 2^31. */
struct direction {
    int32_t cosine, sine;
};

#ifndef CRYDISTILL_NARROW_PRODUCTS

/* A sample of 16 bits times a weight, divided by 2^bits, which are more than 16, to nearest. */
CRYDISTILL_INLINE int32_t weighted(int32_t sample, int32_t weight, int bits)
{
    return scaled((int64_t)weight * sample, bits);
}

/* Turned by an angle clockwise, divided by 2^bits: 0 or 2. */
CRYDISTILL_INLINE struct crydistill_point turned(struct crydistill_point p, struct direction angle,
                                             int bits)
{
    const int64_t c = angle.cosine, s = angle.sine;
    return (struct crydistill_point){scaled(c * p.re + s * p.im, 31 + bits),
                                     scaled(c * p.im - s * p.re, 31 + bits)};
}

CRYDISTILL_INLINE uint64_t power_of(int32_t re, int32_t im)
{
    return (uint64_t)((int64_t)re * re) + (uint64_t)((int64_t)im * im);
}

/* For a weight of 16 bits. */
CRYDISTILL_INLINE uint64_t share_of(uint32_t magnitude, uint32_t weight)
{
    return (uint64_t)magnitude * weight;
}

/* x times factor / 2^31, rounded down. */
CRYDISTILL_INLINE int32_t part_of(int32_t x, int32_t factor)
{
    return (int32_t)(((int64_t)x * factor) >> 31);
}

#else

/* A number x is 2^16 high + low with -2^15 <= low < 2^15: the product of two halves is 2^30 at most, and the
 * products of a point's two numbers by cosine and sine add up to less than 2^31. */
CRYDISTILL_INLINE int32_t low_half(int32_t x)
{
    return (int16_t)x;
}

CRYDISTILL_INLINE int32_t high_half(int32_t x)
{
    return ((x >> 15) + 1) >> 1;
}

CRYDISTILL_INLINE int32_t weighted(int32_t sample, int32_t weight, int bits)
{
    const int32_t high = high_half(weight) * sample + (low_half(weight) * sample >> 16);
    return (high + (1 << (bits - 17))) >> (bits - 16);
}

/* A number's upper 32 bits and its next 16. */
struct wide {
    int32_t high;
    uint32_t next;
};

/* Of 2^32 high + 2^16 (one + other) + low. */
CRYDISTILL_INLINE struct wide sum_of(int32_t high, int32_t one, int32_t other, int32_t low)
{
    one += low >> 16;
    other += one & 0xffff;
    return (struct wide){high + (one >> 16) + (other >> 16), (uint32_t)other & 0xffffu};
}

/* Divided by 2^(31 + bits), to nearest: what is below cannot change it. */
CRYDISTILL_INLINE int32_t rounded(struct wide sum, int bits)
{
    return bits == 2 ? (sum.high + 1) >> 1 : sum.high * 2 + (int32_t)(((sum.next >> 14) + 1) >> 1);
}

CRYDISTILL_INLINE struct crydistill_point turned(struct crydistill_point p, struct direction angle,
                                             int bits)
{
    const int32_t c1 = high_half(angle.cosine), c0 = low_half(angle.cosine);
    const int32_t s1 = high_half(angle.sine), s0 = low_half(angle.sine);
    const int32_t re1 = high_half(p.re), re0 = low_half(p.re);
    const int32_t im1 = high_half(p.im), im0 = low_half(p.im);
    return (struct crydistill_point){
        rounded(sum_of(c1 * re1 + s1 * im1, c1 * re0 + s1 * im0, c0 * re1 + s0 * im1,
                       c0 * re0 + s0 * im0), bits),
        rounded(sum_of(c1 * im1 - s1 * re1, c1 * im0 - s1 * re0, c0 * im1 - s0 * re1,
                       c0 * im0 - s0 * re0), bits)};
}

CRYDISTILL_INLINE uint64_t power_of(int32_t re, int32_t im)
{
    const int32_t re1 = high_half(re), re0 = low_half(re), im1 = high_half(im), im0 = low_half(im);
    const uint32_t low = (uint32_t)(re0 * re0) + (uint32_t)(im0 * im0);
    const uint32_t high = (uint32_t)(re1 * re1) + (uint32_t)(im1 * im1);
    const int32_t middle = re1 * re0 + im1 * im0; /* of 2^17 */
    return ((uint64_t)(high + (uint32_t)(middle >> 15)) << 32) +
           ((uint64_t)((uint32_t)middle << 17) + low);
}

CRYDISTILL_INLINE uint64_t share_of(uint32_t magnitude, uint32_t weight)
{
    return ((uint64_t)((magnitude >> 16) * weight) << 16) + (magnitude & 0xffffu) * weight;
}

CRYDISTILL_INLINE int32_t part_of(int32_t x, int32_t factor)
{
    const int32_t x1 = high_half(x), x0 = low_half(x);
    const int32_t f1 = high_half(factor), f0 = low_half(factor);
    const struct wide sum = sum_of(x1 * f1, x1 * f0, x0 * f1, x0 * f0);
    return sum.high * 2 + (int32_t)(sum.next >> 15);
}

#endif
#endif
