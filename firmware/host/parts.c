/* The network in parts, for tests.
 *
 *     parts PATCHES WORK   from raw int8 patches, heard one after another, to raw int8 logits; each
 *                          network in parts of WORK. Then to stderr: the most multiply-accumulates in
 *                          a part, the most in a row of any layer, and the parts of one network */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crydistill.h"
#include "crydistill_model.h"

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static int32_t macs, row; /* of the last kernel call: all, and those in a row of its output */

static void count(const struct crydistill_window_shape *s, int32_t channels)
{
    row = s->output_width * s->output_channels * s->height * s->width * channels;
    macs = row * s->output_height;
}

static void counted_conv_2d(const struct crydistill_conv *layer, const int8_t *input,
                            int8_t *output)
{
    count(&layer->shape, layer->shape.input_channels);
    crydistill_student.kernels->conv_2d(layer, input, output);
}

static void counted_depthwise_conv_2d(const struct crydistill_conv *layer, const int8_t *input,
                                      int8_t *output)
{
    count(&layer->shape, 1);
    crydistill_student.kernels->depthwise_conv_2d(layer, input, output);
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

int main(int argc, char **argv)
{
    static int8_t patch[CRYDISTILL_PATCH_SIZE];
    struct crydistill_kernels kernels = *crydistill_student.kernels;
    int32_t most = 0, most_in_row = 0, parts = 0;
    FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        return 2;
    }
    if (kernels.conv_2d != NULL) {
        kernels.conv_2d = counted_conv_2d;
    }
    if (kernels.depthwise_conv_2d != NULL) {
        kernels.depthwise_conv_2d = counted_depthwise_conv_2d;
    }
    crydistill_forget(&crydistill_student, arena);
    while (fread(patch, sizeof patch, 1, file) == 1) {
        struct crydistill_progress progress = {0, 0};
        bool finished = false;
        for (parts = 0; !finished; parts++) {
            macs = row = 0;
            finished = crydistill_run_part(&crydistill_student, &kernels, patch, arena,
                                           atoi(argv[2]), &progress);
            most = larger(most, macs);
            most_in_row = larger(most_in_row, row);
        }
        fwrite(arena + crydistill_student.logits, (size_t)crydistill_student.outputs, 1, stdout);
    }
    fprintf(stderr, "%" PRId32 " %" PRId32 " %" PRId32 "\n", most, most_in_row, parts);
    fclose(file);
    return 0;
}
