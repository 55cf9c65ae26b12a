/* Counts executed instructions under QEMU with -icount shift=0, which gives each one nanosecond. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

void machine_start_clock(void);
uint32_t machine_clock(void); /* in ticks */

/* Instructions between two values of the clock, to within two ticks. */
uint32_t machine_instructions(uint32_t since, uint32_t until);

/* Executes 4 x n instructions and a few more, to check the clock. */
void machine_loop(uint32_t n);

#endif
