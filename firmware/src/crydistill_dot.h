/* Sums of products of int8 values: the inner loops of convolutions, which take most of a network's
 * time. Part of the kernels.
 *
 * Cores with Helium (Cortex-M55) multiply and add 16 values at a time. Cores with DSP instructions
 * (Cortex-M4, M7, M33) load four values at a time and add two products at a time. Cores with Thumb's
 * first instruction set (Cortex-M0, M0+, M23) have eight registers for most of it, which compilers
 * distribute badly. All others, and these with CRYDISTILL_PLAIN_KERNELS, have plain C. Sums of integers
 * do not depend on their order, so all give the same. */
#ifndef CRYDISTILL_DOT_H
#define CRYDISTILL_DOT_H

#include "crydistill_inline.h"

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && defined(__ARM_ARCH_ISA_THUMB) && !defined(CRYDISTILL_PLAIN_KERNELS)
#if __ARM_ARCH_ISA_THUMB == 1 && !defined(__OPTIMIZE_SIZE__) /* then gcc has no upper registers */
#define CRYDISTILL_THUMB_1
#elif defined(__ARM_FEATURE_MVE)
#define CRYDISTILL_HELIUM
#elif defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED)
#define CRYDISTILL_DSP
#endif
#endif

#ifdef CRYDISTILL_HELIUM
#include <arm_mve.h>
#endif

/* The sums of a block: two vectors of values by two of weights. Each value that is loaded counts
 * twice. */
struct sums_2x2 {
    int32_t a0_b0, a0_b1, a1_b0, a1_b1;
};

#ifdef CRYDISTILL_DSP

/* Four int8 values from any address, as two pairs of int16: numbers 0 and 2, numbers 1 and 3. */
struct four {
    uint32_t even, odd;
};

CRYDISTILL_INLINE struct four load_four(const int8_t *from)
{
    uint32_t word;
    struct four four;
    memcpy(&word, from, sizeof word);
    __asm("sxtb16 %0, %1" : "=r"(four.even) : "r"(word));
    __asm("sxtb16 %0, %1, ror #8" : "=r"(four.odd) : "r"(word));
    return four;
}

CRYDISTILL_INLINE int32_t add_products(int32_t sum, uint32_t a, uint32_t b)
{
    __asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

CRYDISTILL_INLINE int32_t dot_four(int32_t sum, struct four a, struct four b)
{
    return add_products(add_products(sum, a.even, b.even), a.odd, b.odd);
}

#endif

#ifdef CRYDISTILL_HELIUM

CRYDISTILL_INLINE int32_t dot(int32_t sum, const int8_t *a, const int8_t *b, int32_t n)
{
    for (; n > 0; a += 16, b += 16, n -= 16) {
        const mve_pred16_t left = vctp8q((uint32_t)n);
        sum = vmladavaq_s8(sum, vldrbq_z_s8(a, left), vldrbq_z_s8(b, left));
    }
    return sum;
}

#else

CRYDISTILL_INLINE int32_t dot(int32_t sum, const int8_t *a, const int8_t *b, int32_t n)
{
    const int8_t *const end = a + n, *const end_of_fours = a + n / 4 * 4;
    for (; a != end_of_fours; a += 4, b += 4) {
#ifdef CRYDISTILL_DSP
        sum = dot_four(sum, load_four(a), load_four(b));
#else
        sum += a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
#endif
    }
    for (; a != end; a++, b++) {
        sum += *a * *b;
    }
    return sum;
}

#endif

/* One value of each vector. */
CRYDISTILL_INLINE void add_2x2(struct sums_2x2 *sums, int8_t a0, int8_t a1, int8_t b0, int8_t b1)
{
    sums->a0_b0 += a0 * b0;
    sums->a0_b1 += a0 * b1;
    sums->a1_b0 += a1 * b0;
    sums->a1_b1 += a1 * b1;
}

#if defined(CRYDISTILL_HELIUM)

/* The loop counts values and leaves out what the last 16 have too many. An accumulator is a register of
 * even number. n is not 0. */
CRYDISTILL_INLINE struct sums_2x2 dot_2x2(struct sums_2x2 sums, const int8_t *a0, const int8_t *a1,
                                      const int8_t *b0, const int8_t *b1, int32_t n)
{
    __asm("dlstp.8 lr, %[n]\n"
          "1:\n\t"
          "vldrb.8 q0, [%[a0]], #16\n\t"
          "vldrb.8 q2, [%[b0]], #16\n\t"
          "vldrb.8 q1, [%[a1]], #16\n\t"
          "vldrb.8 q3, [%[b1]], #16\n\t"
          "vmladava.s8 %[a0_b0], q0, q2\n\t"
          "vmladava.s8 %[a1_b0], q1, q2\n\t"
          "vmladava.s8 %[a0_b1], q0, q3\n\t"
          "vmladava.s8 %[a1_b1], q1, q3\n\t"
          "letp lr, 1b"
          : [a0_b0] "+Te"(sums.a0_b0), [a0_b1] "+Te"(sums.a0_b1), [a1_b0] "+Te"(sums.a1_b0),
            [a1_b1] "+Te"(sums.a1_b1), [a0] "+r"(a0), [a1] "+r"(a1), [b0] "+r"(b0), [b1] "+r"(b1)
          : [n] "r"(n)
          : "lr", "q0", "q1", "q2", "q3", "memory");
    return sums;
}

#elif defined(CRYDISTILL_THUMB_1)

/* The addresses, the number and two values take the lower registers, the sums the upper ones, which
 * can do nothing but be added to. n is not 0. */
CRYDISTILL_INLINE struct sums_2x2 dot_2x2(struct sums_2x2 sums, const int8_t *a0, const int8_t *a1,
                                      const int8_t *b0, const int8_t *b1, int32_t n)
{
    int32_t i = -n, a, b;
    __asm(".syntax unified\n"
          "1:\n\t"
          "ldrsb %[a], [%[a0], %[i]]\n\t"
          "ldrsb %[b], [%[b0], %[i]]\n\t"
          "muls %[b], %[a]\n\t"
          "add %[a0_b0], %[b]\n\t"
          "ldrsb %[b], [%[b1], %[i]]\n\t"
          "muls %[a], %[b]\n\t"
          "add %[a0_b1], %[a]\n\t"
          "ldrsb %[a], [%[a1], %[i]]\n\t"
          "muls %[b], %[a]\n\t"
          "add %[a1_b1], %[b]\n\t"
          "ldrsb %[b], [%[b0], %[i]]\n\t"
          "muls %[a], %[b]\n\t"
          "add %[a1_b0], %[a]\n\t"
          "adds %[i], #1\n\t"
          "bne 1b"
          : [a0_b0] "+h"(sums.a0_b0), [a0_b1] "+h"(sums.a0_b1), [a1_b0] "+h"(sums.a1_b0),
            [a1_b1] "+h"(sums.a1_b1), [i] "+l"(i), [a] "=&l"(a), [b] "=&l"(b)
          : [a0] "l"(a0 + n), [a1] "l"(a1 + n), [b0] "l"(b0 + n), [b1] "l"(b1 + n)
          : "cc", "memory");
    return sums;
}

#else

CRYDISTILL_INLINE struct sums_2x2 dot_2x2(struct sums_2x2 sums, const int8_t *a0, const int8_t *a1,
                                      const int8_t *b0, const int8_t *b1, int32_t n)
{
    const int8_t *const end = a0 + n, *const end_of_fours = a0 + n / 4 * 4;
    for (; a0 != end_of_fours; a0 += 4, a1 += 4, b0 += 4, b1 += 4) {
#ifdef CRYDISTILL_DSP
        const struct four first = load_four(a0), second = load_four(a1);
        struct four weights = load_four(b0);
        sums.a0_b0 = dot_four(sums.a0_b0, first, weights);
        sums.a1_b0 = dot_four(sums.a1_b0, second, weights);
        weights = load_four(b1);
        sums.a0_b1 = dot_four(sums.a0_b1, first, weights);
        sums.a1_b1 = dot_four(sums.a1_b1, second, weights);
#else
        add_2x2(&sums, a0[0], a1[0], b0[0], b1[0]);
        add_2x2(&sums, a0[1], a1[1], b0[1], b1[1]);
        add_2x2(&sums, a0[2], a1[2], b0[2], b1[2]);
        add_2x2(&sums, a0[3], a1[3], b0[3], b1[3]);
#endif
    }
    for (; a0 != end; a0++, a1++, b0++, b1++) {
        add_2x2(&sums, *a0, *a1, *b0, *b1);
    }
    return sums;
}

#endif

#endif
