/* Minimal runtime for an lx106 under QEMU with semihosting: start-up, files, the part of libc that
 * the test programs use, and the compiler helpers that are in the ESP8266's ROM and that the
 * compiler therefore omits. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../machine.h"

enum { SYS_EXIT = 1, SYS_READ = 3, SYS_WRITE = 4, SYS_OPEN = 5, SYS_CLOSE = 6 };
enum { SYS_ARGC = 1000, SYS_ARGV_SIZE = 1001, SYS_ARGV = 1002 };
enum { MOST_ARGUMENT_BYTES = 1024, MOST_DIGITS = 10, HEAP_BYTES = 1 << 16 };

__attribute__((noreturn)) void begin(void);
int main(int argc, char **argv);

/* Semihosting call. */
static int simcall(int service, int first, int second, int third)
{
    register int a2 __asm__("a2") = service;
    register int a3 __asm__("a3") = first;
    register int a4 __asm__("a4") = second;
    register int a5 __asm__("a5") = third;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

/* The processor starts at the first byte of code. */
__asm__(".section .start, \"ax\"\n.global start\nstart: j stack\n"
        ".text\n.align 4\n.literal_position\nstack: movi a1, __stack\nmovi a2, begin\njx a2\n");

/* The program loader has already cleared .bss. */
void begin(void)
{
    static union {
        char *pointers[MOST_ARGUMENT_BYTES / sizeof(char *)];
        char bytes[MOST_ARGUMENT_BYTES];
    } arguments;
    if (simcall(SYS_ARGV_SIZE, 0, 0, 0) > MOST_ARGUMENT_BYTES) {
        exit(3);
    }
    simcall(SYS_ARGV, (int)arguments.pointers, 0, 0);
    exit(main(simcall(SYS_ARGC, 0, 0, 0), arguments.pointers));
}

/* --- Instruction counter, of 40 MHz: at 1 ns an instruction one tick is 25 of them. --- */

void machine_start_clock(void)
{
}

uint32_t machine_clock(void)
{
    uint32_t count;
    __asm__ volatile("rsr %0, ccount" : "=r"(count));
    return count;
}

uint32_t machine_instructions(uint32_t since, uint32_t until)
{
    return (until - since) * 25;
}

void machine_loop(uint32_t n)
{
    __asm__ volatile("1: addi %0, %0, -1\n nop\n nop\n bnez %0, 1b" : "+r"(n));
}

/* --- The compiler's helpers --- */

uint64_t __muldi3(uint64_t a, uint64_t b);
int __divsi3(int a, int b);
unsigned __udivsi3(unsigned a, unsigned b);
unsigned __umodsi3(unsigned a, unsigned b);
float __addsf3(float a, float b);

uint64_t __muldi3(uint64_t a, uint64_t b)
{
    const uint32_t a_low = (uint16_t)a, a_high = (uint32_t)a >> 16;
    const uint32_t b_low = (uint16_t)b, b_high = (uint32_t)b >> 16;
    const uint32_t low = a_low * b_low, cross = a_high * b_low, other = a_low * b_high;
    const uint32_t middle = (low >> 16) + (uint16_t)cross + (uint16_t)other;
    const uint32_t high = a_high * b_high + (cross >> 16) + (other >> 16) + (middle >> 16) +
                          (uint32_t)(a >> 32) * (uint32_t)b + (uint32_t)a * (uint32_t)(b >> 32);
    return (uint64_t)high << 32 | (middle << 16 | (uint16_t)low);
}

unsigned __udivsi3(unsigned a, unsigned b)
{
    unsigned quotient = 0, rest = 0;
    for (int bit = 31; bit >= 0; bit--) {
        const bool carry = rest >> 31;
        rest = rest << 1 | (a >> bit & 1);
        if (carry || rest >= b) {
            rest -= b;
            quotient |= 1u << bit;
        }
    }
    return quotient;
}

unsigned __umodsi3(unsigned a, unsigned b)
{
    return a - __udivsi3(a, b) * b;
}

int __divsi3(int a, int b)
{
    const unsigned size_a = a < 0 ? 0u - (unsigned)a : (unsigned)a;
    const unsigned size_b = b < 0 ? 0u - (unsigned)b : (unsigned)b;
    const unsigned quotient = __udivsi3(size_a, size_b);
    return (int)((a < 0) != (b < 0) ? 0u - quotient : quotient);
}

static uint32_t bits_of(float value)
{
    union {
        float value;
        uint32_t bits;
    } both = {.value = value};
    return both.bits;
}

static uint64_t significand(uint32_t bits)
{
    return bits >> 23 == 0 ? bits : (bits & 0x7fffff) | 1 << 23;
}

static uint32_t exponent(uint32_t bits)
{
    return bits >> 23 == 0 ? 1 : bits >> 23;
}

/* For finite, non-negative floats, as all scores are; rounds to nearest, ties to even. */
float __addsf3(float a, float b)
{
    union {
        uint32_t bits;
        float value;
    } sum;
    uint32_t large = bits_of(a), small = bits_of(b);
    if (large < small) {
        large = bits_of(b);
        small = bits_of(a);
    }
    enum { EXTRA = 32 };
    uint32_t scale = exponent(large);
    const uint32_t distance = scale - exponent(small);
    if (distance > EXTRA) {
        sum.bits = large;
        return sum.value;
    }
    uint64_t total = (significand(large) << EXTRA) + (significand(small) << (EXTRA - distance));
    uint32_t extra = EXTRA;
    if (total >> (EXTRA + 24)) {
        scale++;
        extra++;
    }
    const uint64_t half = UINT64_C(1) << (extra - 1), rest = total & (2 * half - 1);
    total >>= extra;
    total += rest > half || (rest == half && (total & 1)) ? 1 : 0;
    /* A significand that rounds up to 2^24 carries into the exponent, as it should. */
    sum.bits = (uint32_t)total < 1u << 23 ? (uint32_t)total
                                          : ((scale - 1) << 23) + (uint32_t)total;
    return sum.value;
}

/* --- libc --- */

void *memset(void *to, int value, size_t n)
{
    for (unsigned char *byte = to; n > 0; n--) {
        *byte++ = (unsigned char)value;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *target = to;
    const unsigned char *source = from;
    if (target < source) {
        for (size_t i = 0; i < n; i++) {
            target[i] = source[i];
        }
    } else {
        for (size_t i = n; i-- > 0;) {
            target[i] = source[i];
        }
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    return memmove(to, from, n);
}

int strcmp(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

unsigned long strtoul(const char *text, char **end, int base)
{
    unsigned long value = 0;
    while (*text == ' ') {
        text++;
    }
    for (;; text++) {
        const bool letter = *text >= 'a' && *text <= 'f' && base == 16;
        if (!letter && (*text < '0' || *text > '9')) {
            break;
        }
        value = value * (unsigned)base + (unsigned)(letter ? *text - 'a' + 10 : *text - '0');
    }
    if (end != NULL) {
        *end = (char *)(uintptr_t)text;
    }
    return value;
}

void exit(int status)
{
    for (;;) {
        simcall(SYS_EXIT, status, 0, 0);
    }
}

void *malloc(size_t n)
{
    static char heap[HEAP_BYTES];
    return n <= sizeof heap ? heap : NULL;
}

void free(void *block)
{
    (void)block;
}

struct file {
    int handle;
};

static struct file opened, output = {1}, errors = {2};
FILE *const stdout = &output, *const stderr = &errors;

FILE *fopen(const char *path, const char *mode)
{
    (void)mode;
    opened.handle = simcall(SYS_OPEN, (int)path, 0, 0);
    return opened.handle < 0 ? NULL : &opened;
}

int fclose(FILE *file)
{
    return simcall(SYS_CLOSE, file->handle, 0, 0);
}

size_t fread(void *to, size_t size, size_t n, FILE *file)
{
    size_t got = 0;
    while (got < size * n) {
        const int more = simcall(SYS_READ, file->handle, (int)to + (int)got, (int)(size * n - got));
        if (more <= 0) {
            break;
        }
        got += (size_t)more;
    }
    return got / size;
}

size_t fwrite(const void *from, size_t size, size_t n, FILE *file)
{
    simcall(SYS_WRITE, file->handle, (int)from, (int)(size * n));
    return n;
}

char *fgets(char *line, int size, FILE *file)
{
    int length = 0;
    while (length < size - 1 && fread(line + length, 1, 1, file) == 1) {
        if (line[length++] == '\n') {
            break;
        }
    }
    line[length] = 0;
    return length > 0 ? line : NULL;
}

static void put(const char *text, FILE *file)
{
    size_t length = 0;
    while (text[length] != 0) {
        length++;
    }
    fwrite(text, 1, length, file);
}

int puts(const char *text)
{
    put(text, stdout);
    put("\n", stdout);
    return 0;
}

static void put_number(unsigned long value, unsigned base, int digits, FILE *file)
{
    char text[MOST_DIGITS + 1] = {0};
    int at = MOST_DIGITS;
    do {
        text[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0 || at > MOST_DIGITS - digits);
    put(text + at, file);
}

static void put_formatted(const char *format, va_list arguments, FILE *file)
{
    for (; *format != 0; format++) {
        if (*format != '%') {
            fwrite(format, 1, 1, file);
            continue;
        }
        format++;
        const bool padded = *format == '0';
        format += padded ? 2 : 0;
        format += *format == 'l' ? 1 : 0;
        if (*format == 's') {
            put(va_arg(arguments, const char *), file);
        } else if (*format == 'd') {
            const long value = va_arg(arguments, long);
            put(value < 0 ? "-" : "", file);
            put_number(value < 0 ? 0ul - (unsigned long)value : (unsigned long)value, 10, 1, file);
        } else {
            const unsigned base = *format == 'x' ? 16 : 10;
            put_number(va_arg(arguments, unsigned long), base, padded ? 8 : 1, file);
        }
    }
}

int printf(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_formatted(format, arguments, stdout);
    va_end(arguments);
    return 0;
}

int fprintf(FILE *file, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_formatted(format, arguments, file);
    va_end(arguments);
    return 0;
}
