/* Command-line program around the library, for tests on a host and under emulation.
 *
 *     host frames  PCM SEED     log-mel frames, raw: float32, or with FIXED=1 int32
 *     host steps   PCM SEED     the same, quantized for the network's int8 input
 *     host patches PCM SEED     int8 patches of all windows, raw
 *     host logits  PCM SEED     int8 logits of all windows, raw
 *     host windows PCM SEED     a line per window: index, the score's bits in hex, event, onset
 *     host network PATCHES GAP  from raw int8 patches, heard one after another, to raw int8 logits;
 *                               all before patch number GAP is forgotten there
 *     host recall  RECORDS      each on its own: from raw int8 memories, each followed by a patch, to
 *                               raw int8 memories, each followed by logits
 *     host scores  LOGITS       from raw int8 logits to raw float32 scores
 *     host vote    SCORES       from lines "settings THRESHOLD_BITS N M HOLD_MS" (a new detector)
 *                               and SCORE_BITS (a window) to lines of event and onset
 *
 * PCM is raw int16 in the machine's byte order. SEED 0 pushes it in blocks of 4,096 samples, others
 * in blocks of random sizes from 0 to 999. The detector's settings may follow: THRESHOLD_BITS N M
 * HOLD_MS; the defaults are 0.5, 5 of 9, 10 s. Then for each gap in the audio AT and LOST: after AT
 * samples of the file LOST ones are missing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crydistill.h"
#include "crydistill_model.h"

enum { BLOCK = 4096, LARGEST_PIECE = 1000 };

static int8_t arena[CRYDISTILL_ARENA_BYTES];
static struct crydistill ear;

/* The gaps that are still to come: pairs of words. */
static char **gaps, **gaps_end;
static size_t heard;

static const char *const EVENT_NAMES[] = {"-", "on", "off"};

static void fail(const char *what)
{
    fprintf(stderr, "host: %s\n", what);
    exit(2);
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static struct crydistill_settings settings_of(uint32_t threshold_bits, unsigned n, unsigned m,
                                              uint32_t hold_ms)
{
    const struct crydistill_settings settings = {float_of(threshold_bits), (uint8_t)n, (uint8_t)m,
                                                 hold_ms};
    return settings;
}

static size_t next_piece(uint32_t *seed)
{
    if (*seed == 0) {
        return BLOCK;
    }
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 16) % LARGEST_PIECE;
}

static void write_frames(const int16_t *pcm, size_t n, bool quantized)
{
    crydistill_level frame[CRYDISTILL_MEL_BANDS];
    int8_t steps[CRYDISTILL_MEL_BANDS];
    bool complete;
    for (size_t taken; n > 0; pcm += taken, n -= taken) {
        taken = crydistill_mel_push(&ear.mel, pcm, n, frame, &complete);
        if (complete && quantized) {
            crydistill_quantize(&crydistill_model, frame, steps);
            fwrite(steps, sizeof steps, 1, stdout);
        } else if (complete) {
            fwrite(frame, sizeof frame, 1, stdout);
        }
    }
}

static uint32_t number(const char *word)
{
    return (uint32_t)strtoul(word, NULL, 10);
}

/* At most n samples, as far as the next gap. */
static size_t until_gap(size_t n)
{
    const size_t left = gaps == gaps_end ? n : number(gaps[0]) - heard;
    return n < left ? n : left;
}

static void make_gaps(crydistill_listener *listener)
{
    for (; gaps != gaps_end && number(gaps[0]) == heard; gaps += 2) {
        crydistill_gap(&ear, number(gaps[1]), listener, NULL);
    }
}

/* Push the file block by block. Each block is allocated separately, so that the address sanitizer
 * detects reads beyond it. Without a listener only the front end runs. */
static void run_audio(FILE *file, uint32_t seed, crydistill_listener *listener, bool quantized)
{
    for (;;) {
        const size_t n = until_gap(next_piece(&seed));
        int16_t *piece = malloc(n > 0 ? n * sizeof *piece : 1);
        if (piece == NULL) {
            fail("out of memory");
        }
        const size_t got = fread(piece, sizeof *piece, n, file);
        if (listener == NULL) {
            write_frames(piece, got, quantized);
        } else {
            crydistill_push(&ear, piece, got, listener, NULL);
        }
        free(piece);
        heard += got;
        make_gaps(listener);
        if (got < n) {
            return;
        }
    }
}

static void write_patch(void *context, const struct crydistill_window *window)
{
    (void)context;
    if (window->patch != NULL) {
        fwrite(window->patch, CRYDISTILL_PATCH_SIZE, 1, stdout);
    }
}

static void write_logits(void *context, const struct crydistill_window *window)
{
    (void)context;
    if (window->logits != NULL) {
        fwrite(window->logits, (size_t)crydistill_model.outputs, 1, stdout);
    }
}

static void write_window(void *context, const struct crydistill_window *window)
{
    (void)context;
    const int32_t onset = window->event == CRYDISTILL_NONE ? -1 : (int32_t)window->onset;
    printf("%" PRIu32 " %08" PRIx32 " %s %" PRId32 "\n", window->index, bits_of(window->score),
           EVENT_NAMES[window->event], onset);
}

static void run_network(FILE *file, uint32_t gap)
{
    static int8_t patch[CRYDISTILL_PATCH_SIZE];
    for (uint32_t i = 0; fread(patch, sizeof patch, 1, file) == 1; i++) {
        if (i == gap) {
            crydistill_forget(&crydistill_model, arena);
        }
        const int8_t *logits = crydistill_model.run(crydistill_model.kernels, patch, arena);
        fwrite(logits, (size_t)crydistill_model.outputs, 1, stdout);
    }
}

static void run_recall(FILE *file)
{
    static int8_t patch[CRYDISTILL_PATCH_SIZE];
    const size_t memory_bytes = crydistill_model.memory_bytes;
    while (fread(arena, 1, memory_bytes, file) == memory_bytes &&
           fread(patch, sizeof patch, 1, file) == 1) {
        const int8_t *logits = crydistill_model.run(crydistill_model.kernels, patch, arena);
        fwrite(arena, 1, memory_bytes, stdout);
        fwrite(logits, (size_t)crydistill_model.outputs, 1, stdout);
    }
}

static void run_scores(FILE *file)
{
    static int8_t logits[CRYDISTILL_OUTPUTS];
    while (fread(logits, sizeof logits, 1, file) == 1) {
        const float score = crydistill_score(&crydistill_model, logits);
        fwrite(&score, sizeof score, 1, stdout);
    }
}

static void run_vote(FILE *file)
{
    struct crydistill_detector detector;
    char line[80];
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == 's') {
            char *word = line + sizeof "settings";
            const uint32_t bits = (uint32_t)strtoul(word, &word, 16);
            const unsigned n = (unsigned)strtoul(word, &word, 10);
            const unsigned m = (unsigned)strtoul(word, &word, 10);
            const struct crydistill_settings settings =
                settings_of(bits, n, m, (uint32_t)strtoul(word, NULL, 10));
            puts(crydistill_detector_init(&detector, &settings) ? "ready" : "refused");
        } else {
            const float score = float_of((uint32_t)strtoul(line, NULL, 16));
            const enum crydistill_event event = crydistill_detector_push(&detector, score);
            printf("%s %" PRId32 "\n", EVENT_NAMES[event],
                   event == CRYDISTILL_NONE ? -1 : (int32_t)detector.onset);
        }
    }
}

int main(int argc, char **argv)
{
    struct crydistill_settings settings = {0.5f, 5, 9, 10000};
    if (argc != 3 && argc != 4 && (argc < 8 || argc % 2 != 0)) {
        fail("wants a mode, a file, and for PCM a seed and perhaps four settings and pairs of gaps");
    }
    FILE *file = fopen(argv[2], "rb");
    if (file == NULL) {
        fail("cannot open the file");
    }
    /* Also the patch number of the mode "network". */
    const uint32_t seed = argc > 3 ? number(argv[3]) : 0;
    if (argc >= 8) {
        gaps = argv + 8;
        gaps_end = argv + argc;
        settings = settings_of((uint32_t)strtoul(argv[4], NULL, 16),
                               (unsigned)strtoul(argv[5], NULL, 10),
                               (unsigned)strtoul(argv[6], NULL, 10),
                               (uint32_t)strtoul(argv[7], NULL, 10));
    }
    if (!crydistill_init(&ear, &crydistill_model, NULL, &settings, arena, sizeof arena)) {
        fail("settings out of range");
    }
    if (strcmp(argv[1], "frames") == 0) {
        run_audio(file, seed, NULL, false);
    } else if (strcmp(argv[1], "steps") == 0) {
        run_audio(file, seed, NULL, true);
    } else if (strcmp(argv[1], "patches") == 0) {
        run_audio(file, seed, write_patch, false);
    } else if (strcmp(argv[1], "logits") == 0) {
        run_audio(file, seed, write_logits, false);
    } else if (strcmp(argv[1], "windows") == 0) {
        run_audio(file, seed, write_window, false);
    } else if (strcmp(argv[1], "network") == 0) {
        run_network(file, seed);
    } else if (strcmp(argv[1], "recall") == 0) {
        run_recall(file);
    } else if (strcmp(argv[1], "scores") == 0) {
        run_scores(file);
    } else if (strcmp(argv[1], "vote") == 0) {
        run_vote(file);
    } else {
        fail("no such mode");
    }
    fclose(file);
    return 0;
}
