/* A clock that counts executed instructions under qemu with -icount shift=0: ticks of so many. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

extern const uint32_t machine_tick_instructions;
extern const uint32_t machine_clock_mask; /* the clock wraps beyond */

void machine_start_clock(void);
uint32_t machine_clock(void);

#endif
