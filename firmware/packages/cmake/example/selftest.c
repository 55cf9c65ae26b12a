/* Made-up sound through front end, network and detector, compared with what the student gave on the
 * computer that exported it. */
#include <stdio.h>

#include "crydistill_golden.h"
#include "crydistill_model.h"

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static struct crydistill ear;

int main(void)
{
    const struct crydistill_config config = {
        .model = &crydistill_student, .arena = arena, .arena_bytes = sizeof arena};
    const enum crydistill_selftest_result result =
        crydistill_selftest(&ear, &config, &crydistill_golden_vectors);
    printf("self-test %s\n", crydistill_selftest_text(result));
    return result == CRYDISTILL_SELFTEST_PASSED ? 0 : 1;
}
