/* Clock for counting executed instructions under QEMU with -icount shift=0. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

extern const uint32_t machine_tick_instructions;
extern const uint32_t machine_clock_mask; /* the clock wraps after this value */

void machine_start_clock(void);
uint32_t machine_clock(void);

#endif
