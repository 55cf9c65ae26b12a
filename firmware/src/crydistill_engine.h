/* The int8 engine: what a layer is, the kernels that compute one, and a model made of them.
 *
 * A model is a C file written by `crydistill export c`. Tensors are height x width x channels of
 * int8; a real value is (step - zero point) x scale. Results are those of TFLite Micro's reference
 * kernels, bit for bit. A sum of products becomes a step of the output by the fixed-point factor
 * multiplier / 2^31 x 2^shift, rounded twice as TFLite Micro does. */
#ifndef CRYDISTILL_ENGINE_H
#define CRYDISTILL_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What models and the library must agree on. It goes up when a model that was exported earlier no
 * longer fits. */
#define CRYDISTILL_FORMAT_VERSION 3

/* In bytes, of the arena and of weights: kernels with SIMD instructions read so many at once. */
#define CRYDISTILL_ALIGNMENT 16

/* In front of a definition, `static` included: aligned so. */
#if defined(__GNUC__)
#define CRYDISTILL_ALIGNED __attribute__((aligned(CRYDISTILL_ALIGNMENT)))
#elif defined(__cplusplus)
#define CRYDISTILL_ALIGNED alignas(CRYDISTILL_ALIGNMENT)
#elif __STDC_VERSION__ >= 201112L
#define CRYDISTILL_ALIGNED _Alignas(CRYDISTILL_ALIGNMENT)
#else
#define CRYDISTILL_ALIGNED
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A window that slides over the input: convolutions and pools. */
struct crydistill_window_shape {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t height, width, stride_height, stride_width;
    int32_t dilation_height, dilation_width, pad_top, pad_left;
};

/* How steps of the output come about. */
struct crydistill_output {
    int32_t zero_point;
    int32_t smallest, largest; /* the activation function, in steps */
};

/* What a vendor's kernels want besides, in students that were exported for them.
 * bias: the network's own, without the input zero point's part. NULL where there is none
 * shift: those of the layer in 32 bits. NULL where it has one
 * scratch: working memory in the arena, so many bytes behind the start of the layer's output; may be
 *     negative
 * scratch_bytes: its size */
struct crydistill_vendor {
    const int32_t *bias;
    const int32_t *shift;
    int32_t scratch, scratch_bytes;
};

/* weights: output channel x height x width x input channel; for depthwise convolutions height x
 * width x output channel. multiplier, shift: one per output channel. bias: one per output channel,
 * the network's own minus input_zero_point times the sum of the channel's weights; it is added to
 * products of steps, where taps outside the image count as input_zero_point. vendor: NULL in layers
 * that no vendor's kernel computes. */
struct crydistill_conv {
    struct crydistill_window_shape shape;
    int32_t input_zero_point;
    struct crydistill_output output;
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    const struct crydistill_vendor *vendor;
};

/* weights: output x input. bias: one per output, as that of a convolution. vendor: the same. */
struct crydistill_dense {
    int32_t inputs, outputs;
    int32_t input_zero_point;
    struct crydistill_output output;
    const int8_t *weights;
    const int32_t *bias;
    int32_t multiplier, shift;
    const struct crydistill_vendor *vendor;
};

/* Mean over height and width. */
struct crydistill_mean {
    int32_t pixels, channels;
    int32_t input_zero_point;
    struct crydistill_output output;
    int32_t multiplier, shift;
};

struct crydistill_pool {
    struct crydistill_window_shape shape;
    struct crydistill_output output;
    const struct crydistill_vendor *vendor;
};

struct crydistill_add {
    int32_t size;
    int32_t zero_point[2], multiplier[2], shift[2]; /* of the two inputs */
    struct crydistill_output output;
    int32_t output_multiplier, output_shift;
};

struct crydistill_pad {
    int32_t input_height, input_width, input_channels;
    int32_t top, bottom, left, right, front, back; /* front, back: channels */
    int8_t value;
};

/* Values of one tensor behind those of another, of the same scale. */
struct crydistill_concatenation {
    int32_t sizes[2];
};

/* `size` values from number `first` on. */
struct crydistill_strided_slice {
    int32_t first, size;
};

/* One function per operator. A model brings a table with those it needs, the others NULL. Input and
 * output never overlap. */
struct crydistill_kernels {
    void (*conv_2d)(const struct crydistill_conv *, const int8_t *input, int8_t *output);
    void (*depthwise_conv_2d)(const struct crydistill_conv *, const int8_t *input, int8_t *output);
    void (*fully_connected)(const struct crydistill_dense *, const int8_t *input, int8_t *output);
    void (*mean)(const struct crydistill_mean *, const int8_t *input, int8_t *output);
    void (*average_pool_2d)(const struct crydistill_pool *, const int8_t *input, int8_t *output);
    void (*add)(const struct crydistill_add *, const int8_t *a, const int8_t *b, int8_t *output);
    void (*pad)(const struct crydistill_pad *, const int8_t *input, int8_t *output);
    void (*concatenation)(const struct crydistill_concatenation *, const int8_t *a,
                          const int8_t *b, int8_t *output);
    void (*strided_slice)(const struct crydistill_strided_slice *, const int8_t *input,
                          int8_t *output);
};

void crydistill_conv_2d(const struct crydistill_conv *, const int8_t *input, int8_t *output);
void crydistill_depthwise_conv_2d(const struct crydistill_conv *, const int8_t *input,
                                  int8_t *output);
void crydistill_fully_connected(const struct crydistill_dense *, const int8_t *input,
                                int8_t *output);
void crydistill_mean_2d(const struct crydistill_mean *, const int8_t *input, int8_t *output);
void crydistill_average_pool_2d(const struct crydistill_pool *, const int8_t *input,
                                int8_t *output);
void crydistill_add_int8(const struct crydistill_add *, const int8_t *a, const int8_t *b,
                         int8_t *output);
void crydistill_pad_2d(const struct crydistill_pad *, const int8_t *input, int8_t *output);
void crydistill_concatenate(const struct crydistill_concatenation *, const int8_t *a,
                            const int8_t *b, int8_t *output);
void crydistill_slice(const struct crydistill_strided_slice *, const int8_t *input,
                      int8_t *output);

/* Operators by the names of their kernels. */
enum crydistill_operator {
    CRYDISTILL_CALL_CONV_2D,
    CRYDISTILL_CALL_DEPTHWISE_CONV_2D,
    CRYDISTILL_CALL_FULLY_CONNECTED,
    CRYDISTILL_CALL_MEAN,
    CRYDISTILL_CALL_AVERAGE_POOL_2D,
    CRYDISTILL_CALL_ADD,
    CRYDISTILL_CALL_PAD,
    CRYDISTILL_CALL_CONCATENATION,
    CRYDISTILL_CALL_STRIDED_SLICE
};

/* One kernel call of a network. layer: the struct of the operator's kernel. inputs, output: where in
 * the arena the tensors lie, or CRYDISTILL_IN_PATCH. */
struct crydistill_call {
    enum crydistill_operator operator_code;
    const void *layer;
    int32_t inputs[2], output;
};

#define CRYDISTILL_IN_PATCH (-1)

/* How far a network has come: calls that are done, and of the next one the rows of its output, or of
 * ADD its values. */
struct crydistill_progress {
    int32_t calls, rows;
};

/* version: CRYDISTILL_FORMAT_VERSION of the library that it was exported for; always the first member
 * run: from an int8 patch to int8 logits, which lie in the arena until the next run
 * calls, call_count: what `run` does, for crydistill_step. call_count 0: it is done in one piece
 * logits: where in the arena the last call leaves them
 * arena_bytes: working memory of run, which starts at a multiple of CRYDISTILL_ALIGNMENT
 * memory_bytes: of the arena, from its start: what the network remembers of earlier windows, which
 *     run reads and replaces. The listener's between windows, too. 0: a network without memory
 * memory_zero_point: the value of all these bytes when nothing has been heard
 * input_factor: steps per unit of the logarithm times 2^16, for the front end in integers
 * cry_outputs: the cry score is the sum of these outputs' scores
 * softmax: turns logits into scores; otherwise each has its own sigmoid
 * fits: whether vendors' kernels have as much scratch memory as they ask for. NULL: they use none
 * activation: 256 values. With softmax, exp(-d output_scale) for a logit d steps below the highest;
 *     otherwise the sigmoid of each logit from step -128 on. */
struct crydistill_model {
    uint32_t version;
    const int8_t *(*run)(const struct crydistill_kernels *kernels, const int8_t *patch,
                         int8_t *arena);
    const struct crydistill_call *calls;
    int32_t call_count;
    int32_t logits;
    const struct crydistill_kernels *kernels;
    bool (*fits)(void);
    size_t arena_bytes;
    size_t memory_bytes;
    int8_t memory_zero_point;
    float input_scale;
    int32_t input_zero_point;
    int32_t input_factor;
    int32_t outputs;
    const uint16_t *cry_outputs;
    int32_t cry_output_count;
    bool softmax;
    const float *activation;
};

/* Make `count` calls, one after another. */
void crydistill_run(const struct crydistill_call *calls, int32_t count,
                    const struct crydistill_kernels *kernels, const int8_t *patch, int8_t *arena);

/* Make the next call, or the next rows of its output: as many as `work` multiply-accumulates of a
 * convolution take, and at least one row. Operators that are not computed in rows count whatever
 * they take: they are short. Results are those of crydistill_run. Returns whether the network is
 * finished. */
bool crydistill_run_part(const struct crydistill_model *model,
                         const struct crydistill_kernels *kernels, const int8_t *patch,
                         int8_t *arena, int32_t work, struct crydistill_progress *progress);

#ifdef __cplusplus
}
#endif
#endif
