/* Runs the self-test on the host and prints its result. An argument corrupts part of the golden
 * data: "patch", "logits", "memory" (before the window), "gap" or "events". With "arena" the arena is
 * used for something else between windows. */
#include <stdio.h>
#include <string.h>

#include "crydistill_golden.h"
#include "crydistill_model.h"

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static struct crydistill ear;
static int8_t backlog[CRYDISTILL_BACKLOG_BYTES];

/* A copy of golden data with a value three steps off. */
static const int8_t *spoiled(const int8_t *data, size_t n, size_t at, int8_t *copy)
{
    memcpy(copy, data, n);
    copy[at] = (int8_t)(copy[at] ^ 4);
    return copy;
}

static void spoil(struct crydistill_golden *golden, const char *what)
{
    static int8_t copy[CRYDISTILL_PATCH_SIZE], logits[CRYDISTILL_OUTPUTS];
    const size_t memory_bytes = crydistill_student.memory_bytes;
    if (strcmp(what, "patch") == 0) {
        golden->patch = spoiled(golden->patch, sizeof copy, 1000, copy);
    } else if (strcmp(what, "logits") == 0) {
        golden->logits = spoiled(golden->logits, sizeof logits, 0, logits);
    } else if (strcmp(what, "memory") == 0) {
        golden->memory = spoiled(golden->memory, memory_bytes, memory_bytes - 1, copy);
    } else if (strcmp(what, "gap") == 0) {
        golden->gap = 0;
    } else if (strcmp(what, "events") == 0) {
        golden->event_count--;
    }
}

static const int8_t *run_without_memory(const struct crydistill_kernels *kernels,
                                        const int8_t *patch, int8_t *its_arena)
{
    if (patch == ear.patch) {
        crydistill_forget(&crydistill_student, its_arena);
    }
    return crydistill_student.run(kernels, patch, its_arena);
}

int main(int argc, char **argv)
{
    struct crydistill_golden golden = crydistill_golden_vectors;
    struct crydistill_model model = crydistill_student;
    if (argc > 1 && strcmp(argv[1], "arena") == 0) {
        model.run = run_without_memory;
    } else if (argc > 1) {
        spoil(&golden, argv[1]);
    }
    const struct crydistill_config config = {
        .model = &model, .arena = arena, .arena_bytes = sizeof arena, .backlog = backlog};
    puts(crydistill_selftest_text(crydistill_selftest(&ear, &config, &golden)));
    return 0;
}
