/* Reset handler up to newlib's start-up code, for a Cortex-M with an FPU under QEMU. */
#include <stdint.h>

#include "machine.h"

void reset(void);
void fault(void);
extern void _start(void);
extern char __stack;

void reset(void)
{
    volatile uint32_t *const coprocessor_access = (uint32_t *)0xE000ED88u;
    *coprocessor_access |= 0xFu << 20;
    __asm volatile("dsb\n\tisb");
    _start();
}

/* SysTick is a 24-bit down counter at 25 MHz. */
const uint32_t machine_tick_instructions = 40;
const uint32_t machine_clock_mask = (1 << 24) - 1;

static volatile uint32_t *const systick = (uint32_t *)0xE000E010u; /* control, reload, value */

void machine_start_clock(void)
{
    systick[1] = machine_clock_mask;
    systick[2] = 0;
    systick[0] = 5; /* enabled, processor clock */
}

uint32_t machine_clock(void)
{
    return machine_clock_mask - systick[2];
}

/* End the emulation with an error. */
void fault(void)
{
    register uint32_t operation __asm("r0") = 0x18;     /* SYS_EXIT */
    register uint32_t reason __asm("r1") = 0x20023;     /* ADP_Stopped_RunTimeErrorUnknown */
    __asm volatile("bkpt 0xab" : : "r"(operation), "r"(reason) : "memory");
    for (;;) {
    }
}

typedef void handler(void);

__attribute__((section(".vectors"), used)) static const struct {
    char *stack;
    handler *handlers[15];
} vectors = {&__stack,
             {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault}};
