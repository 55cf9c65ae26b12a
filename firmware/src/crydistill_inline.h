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

#endif
