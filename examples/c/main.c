#include <stdio.h>
#include "crydistill_model.h"
#include "microphone.h" /* yours: 16 kHz, 16 bits, mono */

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static struct crydistill ear;

static void on_window(void *context, const struct crydistill_window *window)
{
    (void)context;
    if (window->event == CRYDISTILL_ON) {
        puts("a baby cries");
    }
}

int main(void)
{
    static int16_t pcm[480];
    const struct crydistill_config config = {
        .model = &crydistill_student, .settings = &CRYDISTILL_DEFAULT_PRESET,
        .arena = arena, .arena_bytes = sizeof arena, .listener = on_window};
    const enum crydistill_error error = crydistill_init(&ear, &config);
    if (error != CRYDISTILL_OK) {
        puts(crydistill_error_text(error));
    }
    while (error == CRYDISTILL_OK && microphone_read(pcm, 480)) {
        crydistill_push(&ear, pcm, 480);
    }
    return (int)error;
}
