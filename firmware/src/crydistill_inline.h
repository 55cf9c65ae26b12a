/* How the kernels' functions are compiled. */
#ifndef CRYDISTILL_INLINE_H
#define CRYDISTILL_INLINE_H

/* CRYDISTILL_INLINE: part of an inner loop, which is fast only in line, also where the rest of a
 * program is made small (-Os, the default of Arduino and ESPHome).
 * CRYDISTILL_APART: not in line, to keep the inner loop's variables apart from its caller's
 * buffers. Some cores (Xtensa) reach only the first kilobyte of a stack frame in one instruction. */
#if defined(__GNUC__)
#define CRYDISTILL_INLINE static inline __attribute__((always_inline))
#define CRYDISTILL_APART static __attribute__((noinline))
#else
#define CRYDISTILL_INLINE static inline
#define CRYDISTILL_APART static
#endif

/* CRYDISTILL_NARROW_PRODUCTS: products of more than 32 bits are made of products of 16 by 16 bits. For cores
 * that multiply 32 by 32 bits to 32 and call a function for more: Cortex-M0, M0+ and M23, and others if you
 * define it for the library (Xtensa lx106). Results are the same. */
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1 && !defined(CRYDISTILL_NARROW_PRODUCTS)
#define CRYDISTILL_NARROW_PRODUCTS
#endif

#endif
