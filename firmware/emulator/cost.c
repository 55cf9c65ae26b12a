/* Counts executed instructions under QEMU with `-icount shift=0`. Prints "part instructions" per
 * line, and finally the stack depth. "layer_..." is the part of the network in each kernel call, in
 * execution order; "softmax_of_521" and "sigmoid_of_1" are the score of a student with such
 * outputs, independent of this one. "loop_of_4000000" is what it says, to check the clock. */
#include <inttypes.h>
#include <stdio.h>

#include "crydistill.h"
#include "crydistill_model.h"
#include "machine.h"

enum {
    LOOPS = 1000000, /* of 4 instructions */
    VOTES = 1000,
    SCORES = 100,
    STACK_BYTES = 4096,
    PAINT = 0xa5,
    SOFTMAX_OUTPUTS = 521
};

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static int8_t patch[CRYDISTILL_PATCH_SIZE];
static int16_t second[CRYDISTILL_SAMPLE_RATE];
static struct crydistill ear;

static void noise(void)
{
    uint32_t state = 1;
    for (int i = 0; i < CRYDISTILL_SAMPLE_RATE; i++) {
        state = state * 1664525u + 1013904223u;
        second[i] = (int16_t)(state >> 18);
    }
    for (int i = 0; i < CRYDISTILL_PATCH_SIZE; i++) {
        patch[i] = (int8_t)(second[i] >> 6);
    }
}

static void report(const char *part, uint32_t since, uint32_t times)
{
    const uint32_t instructions = machine_instructions(since, machine_clock());
    printf("%s %" PRIu32 "\n", part, instructions / times);
}

/* Kernels that wrap the model's own and report each call. */
#define COUNTED(name, layer_type) \
    static void counted_##name(const struct layer_type *layer, const int8_t *input, \
                               int8_t *output) \
    { \
        const uint32_t since = machine_clock(); \
        crydistill_student.kernels->name(layer, input, output); \
        report("layer_" #name, since, 1); \
    }

COUNTED(conv_2d, crydistill_conv)
COUNTED(depthwise_conv_2d, crydistill_conv)
COUNTED(fully_connected, crydistill_dense)
COUNTED(mean, crydistill_mean)
COUNTED(average_pool_2d, crydistill_pool)
COUNTED(pad, crydistill_pad)
COUNTED(strided_slice, crydistill_strided_slice)

static void counted_add(const struct crydistill_add *layer, const int8_t *a, const int8_t *b,
                        int8_t *output)
{
    const uint32_t since = machine_clock();
    crydistill_student.kernels->add(layer, a, b, output);
    report("layer_add", since, 1);
}

static void counted_concatenation(const struct crydistill_concatenation *layer, const int8_t *a,
                                  const int8_t *b, int8_t *output)
{
    const uint32_t since = machine_clock();
    crydistill_student.kernels->concatenation(layer, a, b, output);
    report("layer_concatenation", since, 1);
}

static const struct crydistill_kernels counted = {
    .conv_2d = counted_conv_2d,
    .depthwise_conv_2d = counted_depthwise_conv_2d,
    .fully_connected = counted_fully_connected,
    .mean = counted_mean,
    .average_pool_2d = counted_average_pool_2d,
    .add = counted_add,
    .pad = counted_pad,
    .concatenation = counted_concatenation,
    .strided_slice = counted_strided_slice,
};

/* Repeated, since one call can take less than a clock tick. Returns the score. */
static float report_score(const char *part, const struct crydistill_model *model,
                          const int8_t *logits)
{
    float score = 0.0f;
    const uint32_t since = machine_clock();
    for (int i = 0; i < SCORES; i++) {
        score = crydistill_score(model, logits);
    }
    report(part, since, SCORES);
    return score;
}

/* Uses the patch as logits, and the model's activation table. */
static void report_other_scores(void)
{
    static const uint16_t cries[] = {19, 20};
    struct crydistill_model model = crydistill_student;
    model.outputs = SOFTMAX_OUTPUTS;
    model.cry_outputs = cries;
    model.cry_output_count = 2;
    model.softmax = true;
    report_score("softmax_of_521", &model, patch);
    model.cry_output_count = 1;
    model.softmax = false;
    report_score("sigmoid_of_1", &model, patch);
}

/* Paints the stack below its caller, or returns how much of it was overwritten since. */
__attribute__((noinline)) static uint32_t stack_depth(bool paint)
{
    volatile uint8_t stack[STACK_BYTES];
    uint32_t untouched = 0;
    for (int i = 0; paint && i < STACK_BYTES; i++) {
        stack[i] = PAINT;
    }
    while (untouched < STACK_BYTES && stack[untouched] == PAINT) {
        untouched++;
    }
    return STACK_BYTES - untouched;
}

static void ignore(void *context, const struct crydistill_window *window)
{
    (void)context;
    (void)window;
}

static void one_second_of_frames(void)
{
    crydistill_level frame[CRYDISTILL_MEL_BANDS];
    bool complete;
    const int16_t *pcm = second;
    for (size_t n = CRYDISTILL_SAMPLE_RATE, taken; n > 0; pcm += taken, n -= taken) {
        taken = crydistill_mel_push(&ear.mel, pcm, n, frame, &complete);
        if (complete) {
            crydistill_quantize(&crydistill_student, frame, ear.patch);
        }
    }
}

int main(void)
{
    const struct crydistill_settings settings = {0.5f, 5, 9, 10000};
    const struct crydistill_config config = {.model = &crydistill_student,
                                             .settings = &settings,
                                             .arena = arena,
                                             .arena_bytes = sizeof arena,
                                             .listener = ignore};
    const enum crydistill_error error = crydistill_init(&ear, &config);
    if (error != CRYDISTILL_OK) {
        puts(crydistill_error_text(error));
        return 1;
    }
    noise();
    machine_start_clock();

    uint32_t since = machine_clock();
    machine_loop(LOOPS);
    report("loop_of_4000000", since, 1);

    one_second_of_frames(); /* aligns the next second's frames with its start */
    since = machine_clock();
    one_second_of_frames();
    report("front_end_per_second", since, 1);

    since = machine_clock();
    const int8_t *logits = crydistill_student.run(crydistill_student.kernels, patch, arena);
    report("network_per_window", since, 1);

    const float score = report_score("score_per_window", &crydistill_student, logits);

    since = machine_clock();
    for (int i = 0; i < VOTES; i++) {
        crydistill_detector_push(&ear.detector, i % 20 < 7 ? 1.0f : score);
    }
    report("vote_per_window", since, VOTES);

    crydistill_student.run(&counted, patch, arena);
    report_other_scores();

    stack_depth(true);
    crydistill_push(&ear, second, CRYDISTILL_SAMPLE_RATE);
    printf("stack_bytes %" PRIu32 "\n", stack_depth(false));
    return 0;
}
