/* Samples of 16 bits, mono, 16 kHz, in on standard input, alerts out:
 *
 *     arecord -q -t raw -f S16_LE -c 1 -r 16000 | build/listen
 *     ffmpeg -v error -i evening.mp3 -f s16le -ac 1 -ar 16000 - | build/listen */
#include <stdio.h>

#include "crydistill_model.h"

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static struct crydistill ear;

static void on_window(void *context, const struct crydistill_window *window)
{
    (void)context;
    if (window->event == CRYDISTILL_ON) {
        printf("%.2f s: a baby cries\n", window->onset * (CRYDISTILL_WINDOW_HOP_MS / 1000.0));
    } else if (window->event == CRYDISTILL_OFF) {
        printf("%.2f s: it is quiet again\n", window->index * (CRYDISTILL_WINDOW_HOP_MS / 1000.0));
    }
}

int main(void)
{
    const struct crydistill_config config = {
        .model = &crydistill_student,
        .settings = &CRYDISTILL_DEFAULT_PRESET,
        .arena = arena,
        .arena_bytes = sizeof arena,
        .listener = on_window,
    };
    const enum crydistill_error error = crydistill_init(&ear, &config);
    if (error != CRYDISTILL_OK) {
        fprintf(stderr, "%s\n", crydistill_error_text(error));
        return 1;
    }
    static int16_t pcm[480];
    size_t n;
    while ((n = fread(pcm, sizeof *pcm, sizeof pcm / sizeof *pcm, stdin)) > 0) {
        crydistill_push(&ear, pcm, n);
        fflush(stdout);
    }
    return 0;
}
