/* Functions of the kernels' inner loops, which are fast only in line, also where the rest of a
 * program is made small (-Os, the default of Arduino and ESPHome). */
#ifndef CRYDISTILL_INLINE_H
#define CRYDISTILL_INLINE_H

#if defined(__GNUC__)
#define CRYDISTILL_INLINE static inline __attribute__((always_inline))
#else
#define CRYDISTILL_INLINE static inline
#endif

#endif
