/* Runs the self-test on the host and prints its result. An argument corrupts part of the golden
 * data: "patch", "logits" or "events". */
#include <stdio.h>
#include <string.h>

#include "crydistill_golden.h"
#include "crydistill_model.h"

static int8_t arena[CRYDISTILL_ARENA_BYTES];
static struct crydistill ear;

static const char *const RESULTS[] = {"passed", "settings", "front end", "network", "detector"};

static void spoil(struct crydistill_golden *golden, const char *what)
{
    static int8_t patch[CRYDISTILL_PATCH_SIZE], logits[CRYDISTILL_OUTPUTS];
    memcpy(patch, golden->patch, sizeof patch);
    memcpy(logits, golden->logits, sizeof logits);
    patch[1000] = (int8_t)(patch[1000] ^ 4);
    logits[0] = (int8_t)(logits[0] ^ 4);
    golden->patch = strcmp(what, "patch") == 0 ? patch : golden->patch;
    golden->logits = strcmp(what, "logits") == 0 ? logits : golden->logits;
    golden->event_count -= strcmp(what, "events") == 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct crydistill_golden golden = crydistill_golden;
    if (argc > 1) {
        spoil(&golden, argv[1]);
    }
    puts(RESULTS[crydistill_selftest(&ear, &crydistill_model, NULL, &golden, arena, sizeof arena)]);
    return 0;
}
