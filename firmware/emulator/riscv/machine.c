/* The clock of a RISC-V under QEMU: it counts instructions itself. Start-up and libc are picolibc's. */
#include "../machine.h"

void machine_start_clock(void)
{
}

uint32_t machine_clock(void)
{
    uint32_t count;
    __asm volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop"
                   : "=r"(count));
    return count;
}

uint32_t machine_instructions(uint32_t since, uint32_t until)
{
    return until - since;
}

void machine_loop(uint32_t n)
{
    __asm volatile("1: addi %0, %0, -1\n nop\n nop\n bnez %0, 1b" : "+r"(n));
}
