/* Reset handler up to newlib's start-up code, for a Cortex-M under QEMU. MACHINE_CLOCK_MHZ is the
 * clock of the board. */
#include <stddef.h>
#include <stdint.h>

#include "machine.h"

void reset(void);
void fault(void);
void *_sbrk(ptrdiff_t more);
extern void _start(void);
extern char end, __stack;

void reset(void)
{
    volatile uint32_t *const coprocessor_access = (uint32_t *)0xE000ED88u;
#if __ARM_ARCH_ISA_THUMB == 1
    /* The core that stands in for a Cortex-M0+ is to fault, as that does, at unaligned addresses. */
    volatile uint32_t *const configuration = (uint32_t *)0xE000ED14u;
    *configuration |= 1u << 3;
#endif
    *coprocessor_access |= 0xFu << 20;
    __asm volatile("dsb\n\tisb");
    _start();
}

/* newlib's own asks the emulator for the heap's limits, which knows the wrong memory on some boards. */
void *_sbrk(ptrdiff_t more)
{
    static char *heap = &end;
    char *const start = heap;
    heap += more;
    return start;
}

/* SysTick is a 24-bit down counter. */
enum { SYSTICK_MASK = (1 << 24) - 1 };

static volatile uint32_t *const systick = (uint32_t *)0xE000E010u; /* control, reload, value */

void machine_start_clock(void)
{
    systick[1] = SYSTICK_MASK;
    systick[2] = 0;
    systick[0] = 5; /* enabled, processor clock */
}

uint32_t machine_clock(void)
{
    return SYSTICK_MASK - systick[2];
}

uint32_t machine_instructions(uint32_t since, uint32_t until)
{
    return (uint32_t)((uint64_t)((until - since) & SYSTICK_MASK) * 1000 / MACHINE_CLOCK_MHZ);
}

void machine_loop(uint32_t n)
{
    __asm volatile(".syntax unified\n1: subs %0, #1\n nop\n nop\n bne 1b" : "+l"(n) : : "cc");
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
             {reset, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, fault}};
