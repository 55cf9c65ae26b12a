/* Command-line program around the library, for tests on a host and under emulation.
 *
 *     host frames  PCM SEED     log-mel frames, raw: float32, or with FIXED=1 int32
 *     host steps   PCM SEED     the same, quantized for the network's int8 input
 *     host patches PCM SEED     int8 patches of all windows, raw
 *     host logits  PCM SEED     int8 logits of all windows, raw
 *     host windows PCM SEED     a line per window: index, the score's bits in hex, event, onset
 *     host stepped-patches PCM SEED   the same as patches, logits and windows, but through a ring and
 *     host stepped-logits  PCM SEED   with crydistill_step; SEED chooses the ring's size, the slices'
 *     host stepped-windows PCM SEED   and in which order samples come and steps are done
 *     host backlog-windows PCM SEED   the same as windows, with pushes that leave the network to
 *                                     crydistill_step, which is called now and then
 *     host network PATCHES GAP  from raw int8 patches, heard one after another, to raw int8 logits;
 *                               all before patch number GAP is forgotten there
 *     host recall  RECORDS      each on its own: from raw int8 memories, each followed by a patch, to
 *                               raw int8 memories, each followed by logits
 *     host scores  LOGITS       from raw int8 logits to raw float32 scores
 *     host vote    SCORES       from lines "settings THRESHOLD_BITS N M HOLD_MS" (a new detector),
 *                               "resettle ..." (the same detector, other settings) and SCORE_BITS (a
 *                               window) to lines of event and onset, or of what is refused
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

enum { BLOCK = 4096, LARGEST_PIECE = 1000, LARGEST_RING = 4000, LARGEST_SLICE = 200000 };

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static int8_t backlog[CRYDISTILL_BACKLOG_BYTES];
static struct crydistill ear;
static struct crydistill_config config;

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

/* From 0 on, less than `end`. */
static uint32_t draw(uint32_t *seed, uint32_t end)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % end;
}

static size_t next_piece(uint32_t *seed)
{
    return *seed == 0 ? BLOCK : draw(seed, LARGEST_PIECE);
}

static void write_frames(const int16_t *pcm, size_t n, bool quantized)
{
    crydistill_level frame[CRYDISTILL_MEL_BANDS];
    int8_t steps[CRYDISTILL_MEL_BANDS];
    bool complete;
    for (size_t taken; n > 0; pcm += taken, n -= taken) {
        taken = crydistill_mel_push(&ear.mel, pcm, n, frame, &complete);
        if (complete && quantized) {
            crydistill_quantize(&crydistill_student, frame, steps);
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

static void require(enum crydistill_error error)
{
    if (error != CRYDISTILL_OK) {
        fail(crydistill_error_text(error));
    }
}

static void make_gaps(void)
{
    for (; gaps != gaps_end && number(gaps[0]) == heard; gaps += 2) {
        require(crydistill_gap(&ear, number(gaps[1])));
    }
}

enum part { FRAMES, STEPS, WINDOWS };

/* With a backlog: up to 60 steps, as the seed has it; without a seed all that are due. */
static void do_steps(uint32_t *seed)
{
    bool idle = config.backlog == NULL;
    for (uint32_t left = seed == NULL ? UINT32_MAX : draw(seed, 60); left > 0 && !idle; left--) {
        require(crydistill_step(&ear, NULL, &idle));
    }
}

/* Push the file block by block. Each block is allocated separately, so that the address sanitizer
 * detects reads beyond it. Frames and steps come from the front end alone. */
static void run_audio(FILE *file, uint32_t seed, enum part part)
{
    for (;;) {
        const size_t n = until_gap(next_piece(&seed));
        int16_t *piece = malloc(n > 0 ? n * sizeof *piece : 1);
        if (piece == NULL) {
            fail("out of memory");
        }
        const size_t got = fread(piece, sizeof *piece, n, file);
        if (part == WINDOWS) {
            require(crydistill_push(&ear, piece, got));
            do_steps(&seed);
        } else {
            write_frames(piece, got, part == STEPS);
        }
        free(piece);
        heard += got;
        make_gaps();
        if (got < n) {
            do_steps(NULL);
            return;
        }
    }
}

static bool step(struct crydistill_ring *ring)
{
    bool idle;
    require(crydistill_step(&ear, ring, &idle));
    return !idle;
}

/* Steps until there is room for n samples, and up to `more` steps on. */
static void make_room(struct crydistill_ring *ring, uint32_t n, uint32_t more)
{
    for (;;) {
        const uint32_t used = ring->written >= ring->read
                                  ? ring->written - ring->read
                                  : ring->room + 1 - ring->read + ring->written;
        if (ring->room - used >= n && ring->told == ring->lost && more-- == 0) {
            return;
        }
        step(ring);
    }
}

static void ring_gaps(struct crydistill_ring *ring)
{
    for (; gaps != gaps_end && number(gaps[0]) == heard; gaps += 2) {
        crydistill_ring_gap(ring, number(gaps[1]));
    }
}

static void run_stepped(FILE *file, uint32_t seed)
{
    static int16_t samples[LARGEST_RING], piece[LARGEST_RING];
    struct crydistill_ring ring;
    const uint32_t size = 2 + draw(&seed, LARGEST_RING - 1);
    config.backlog = draw(&seed, 4) == 0 ? NULL : backlog;
    config.slice = (int32_t)draw(&seed, LARGEST_SLICE);
    require(crydistill_init(&ear, &config));
    require(crydistill_ring_init(&ring, samples, size));
    for (;;) {
        const size_t n = until_gap(draw(&seed, size));
        const size_t got = fread(piece, sizeof *piece, n, file);
        make_room(&ring, (uint32_t)got, draw(&seed, 40));
        crydistill_ring_write(&ring, piece, (uint32_t)got);
        heard += got;
        ring_gaps(&ring);
        if (got < n) {
            break;
        }
    }
    while (step(&ring)) {
    }
}

static void run_backlog(FILE *file, uint32_t seed)
{
    config.backlog = backlog;
    require(crydistill_init(&ear, &config));
    run_audio(file, seed, WINDOWS);
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
        fwrite(window->logits, (size_t)crydistill_student.outputs, 1, stdout);
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
            crydistill_forget(&crydistill_student, arena);
        }
        const int8_t *logits = crydistill_student.run(crydistill_student.kernels, patch, arena);
        fwrite(logits, (size_t)crydistill_student.outputs, 1, stdout);
    }
}

static void run_recall(FILE *file, uint32_t unused)
{
    (void)unused;
    static int8_t patch[CRYDISTILL_PATCH_SIZE];
    const size_t memory_bytes = crydistill_student.memory_bytes;
    while (fread(arena, 1, memory_bytes, file) == memory_bytes &&
           fread(patch, sizeof patch, 1, file) == 1) {
        const int8_t *logits = crydistill_student.run(crydistill_student.kernels, patch, arena);
        fwrite(arena, 1, memory_bytes, stdout);
        fwrite(logits, (size_t)crydistill_student.outputs, 1, stdout);
    }
}

static void run_scores(FILE *file, uint32_t unused)
{
    (void)unused;
    static int8_t logits[CRYDISTILL_OUTPUTS];
    while (fread(logits, sizeof logits, 1, file) == 1) {
        const float score = crydistill_score(&crydistill_student, logits);
        fwrite(&score, sizeof score, 1, stdout);
    }
}

static struct crydistill_settings settings_in(char *line)
{
    char *word = line + sizeof "settings";
    const uint32_t bits = (uint32_t)strtoul(word, &word, 16);
    const unsigned n = (unsigned)strtoul(word, &word, 10);
    const unsigned m = (unsigned)strtoul(word, &word, 10);
    return settings_of(bits, n, m, (uint32_t)strtoul(word, NULL, 10));
}

static void run_vote(FILE *file, uint32_t unused)
{
    (void)unused;
    struct crydistill_detector detector;
    char line[80];
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == 's' || line[0] == 'r') {
            const struct crydistill_settings settings = settings_in(line);
            puts(crydistill_error_text(line[0] == 's'
                                           ? crydistill_detector_init(&detector, &settings)
                                           : crydistill_detector_set(&detector, &settings)));
        } else {
            const float score = float_of((uint32_t)strtoul(line, NULL, 16));
            const enum crydistill_event event = crydistill_detector_push(&detector, score);
            printf("%s %" PRId32 "\n", EVENT_NAMES[event],
                   event == CRYDISTILL_NONE ? -1 : (int32_t)detector.onset);
        }
    }
}

static void run_frames(FILE *file, uint32_t seed)
{
    run_audio(file, seed, FRAMES);
}

static void run_steps(FILE *file, uint32_t seed)
{
    run_audio(file, seed, STEPS);
}

static void run_windows(FILE *file, uint32_t seed)
{
    run_audio(file, seed, WINDOWS);
}

/* number: the seed, or the patch number of the mode "network" */
static const struct mode {
    const char *name;
    void (*run)(FILE *file, uint32_t number);
    crydistill_listener *listener;
} MODES[] = {
    {"frames", run_frames, write_window},    {"steps", run_steps, write_window},
    {"patches", run_windows, write_patch},   {"logits", run_windows, write_logits},
    {"windows", run_windows, write_window},  {"stepped-patches", run_stepped, write_patch},
    {"stepped-logits", run_stepped, write_logits},
    {"stepped-windows", run_stepped, write_window},
    {"backlog-windows", run_backlog, write_window},
    {"network", run_network, write_window},
    {"recall", run_recall, write_window},    {"scores", run_scores, write_window},
    {"vote", run_vote, write_window},
};

static const struct mode *mode_of(const char *name)
{
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
        if (strcmp(name, MODES[i].name) == 0) {
            return MODES + i;
        }
    }
    fail("no such mode");
    return NULL;
}

int main(int argc, char **argv)
{
    struct crydistill_settings settings = {0.5f, 5, 9, 10000};
    if (argc != 3 && argc != 4 && (argc < 8 || argc % 2 != 0)) {
        fail("wants a mode, a file, and for PCM a seed and perhaps four settings and pairs of gaps");
    }
    const struct mode *mode = mode_of(argv[1]);
    FILE *file = fopen(argv[2], "rb");
    if (file == NULL) {
        fail("cannot open the file");
    }
    if (argc >= 8) {
        gaps = argv + 8;
        gaps_end = argv + argc;
        settings = settings_of((uint32_t)strtoul(argv[4], NULL, 16),
                               (unsigned)strtoul(argv[5], NULL, 10),
                               (unsigned)strtoul(argv[6], NULL, 10),
                               (uint32_t)strtoul(argv[7], NULL, 10));
    }
    config = (struct crydistill_config){.model = &crydistill_student,
                                        .settings = &settings,
                                        .arena = arena,
                                        .arena_bytes = sizeof arena,
                                        .listener = mode->listener};
    require(crydistill_init(&ear, &config));
    mode->run(file, argc > 3 ? number(argv[3]) : 0);
    fclose(file);
    return 0;
}
