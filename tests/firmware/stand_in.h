/* The arithmetic that the stand-ins for vendors' kernels share: TensorFlow Lite's quantized
 * operators in their obvious form, from its quantization specification. With STAND_IN_WRONG every
 * result is off by one, which a comparison must notice. */
#ifndef STAND_IN_H
#define STAND_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef STAND_IN_WRONG
enum { OFF_BY = 1 };
#else
enum { OFF_BY = 0 };
#endif

/* What a vendor says it needs, for the tests that want it to be too much. */
#ifdef STAND_IN_GREEDY
enum { GREED = 1 << 20 };
#else
enum { GREED = 0 };
#endif

static inline void require(bool kept)
{
    if (!kept) {
        __builtin_trap();
    }
}

/* Twice a product's upper half, halves away from zero. */
static inline int32_t high_of_twice(int32_t a, int32_t b)
{
    const int64_t product = (int64_t)a * b;
    const int64_t nudge = product >= 0 ? (INT64_C(1) << 30) : 1 - (INT64_C(1) << 30);
    return (int32_t)((product + nudge) / (INT64_C(1) << 31));
}

/* Divided by a power of two, halves away from zero. */
static inline int32_t divided(int32_t value, int32_t exponent)
{
    const int64_t half = exponent > 0 ? INT64_C(1) << (exponent - 1) : 0;
    const int64_t magnitude = value < 0 ? -(int64_t)value : value;
    const int64_t rounded = (magnitude + half) >> exponent;
    return (int32_t)(value < 0 ? -rounded : rounded);
}

static inline int32_t rescaled(int32_t value, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    return divided(high_of_twice(value * (1 << left), multiplier), right);
}

static inline int8_t clamped(int32_t value, int32_t smallest, int32_t largest)
{
    value += OFF_BY;
    return (int8_t)(value < smallest ? smallest : value > largest ? largest : value);
}

struct image {
    int32_t height, width, channels;
};

struct steps {
    int32_t stride_height, stride_width, pad_height, pad_width, dilation_height, dilation_width;
};

/* One output of a convolution. depthwise: weights are height x width x output channel and each
 * output sees one input channel. */
struct convolution {
    struct image in, filter, out;
    struct steps steps;
    int32_t input_offset;
    const int8_t *input, *weights;
    const int32_t *bias;
    bool depthwise;
};

static inline int32_t convolved(const struct convolution *c, int32_t y, int32_t x, int32_t channel)
{
    const int32_t first = c->depthwise ? channel / (c->out.channels / c->in.channels) : 0;
    const int32_t seen = c->depthwise ? 1 : c->in.channels;
    int32_t sum = c->bias[channel];
    for (int32_t r = 0; r < c->filter.height; r++) {
        for (int32_t s = 0; s < c->filter.width; s++) {
            const int32_t row =
                y * c->steps.stride_height - c->steps.pad_height + r * c->steps.dilation_height;
            const int32_t column =
                x * c->steps.stride_width - c->steps.pad_width + s * c->steps.dilation_width;
            if (row < 0 || row >= c->in.height || column < 0 || column >= c->in.width) {
                continue;
            }
            const int32_t tap = r * c->filter.width + s;
            for (int32_t i = 0; i < seen; i++) {
                const int32_t at = (row * c->in.width + column) * c->in.channels + first + i;
                const int32_t weight =
                    c->depthwise
                        ? tap * c->out.channels + channel
                        : (channel * c->filter.height * c->filter.width + tap) * seen + i;
                sum += (c->input[at] + c->input_offset) * c->weights[weight];
            }
        }
    }
    return sum;
}

struct factors {
    const int32_t *multiplier, *shift;
    int32_t offset, smallest, largest;
};

static inline void convolve_all(const struct convolution *c, const struct factors *f,
                                int8_t *output)
{
    for (int32_t y = 0; y < c->out.height; y++) {
        for (int32_t x = 0; x < c->out.width; x++) {
            for (int32_t channel = 0; channel < c->out.channels; channel++) {
                const int32_t sum = convolved(c, y, x, channel);
                const int32_t step =
                    rescaled(sum, f->multiplier[channel], f->shift[channel]) + f->offset;
                *output++ = clamped(step, f->smallest, f->largest);
            }
        }
    }
}

static inline int32_t pooled(const struct image *in, const int8_t *input, const struct image *filter,
                             const struct steps *steps, int32_t y, int32_t x, int32_t channel)
{
    int32_t sum = 0, count = 0;
    for (int32_t r = 0; r < filter->height; r++) {
        for (int32_t s = 0; s < filter->width; s++) {
            const int32_t row = y * steps->stride_height - steps->pad_height + r;
            const int32_t column = x * steps->stride_width - steps->pad_width + s;
            if (row >= 0 && row < in->height && column >= 0 && column < in->width) {
                sum += input[(row * in->width + column) * in->channels + channel];
                count++;
            }
        }
    }
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

static inline void pool_all(const struct image *in, const int8_t *input, const struct image *filter,
                            const struct steps *steps, const struct image *out,
                            const struct factors *f, int8_t *output)
{
    for (int32_t y = 0; y < out->height; y++) {
        for (int32_t x = 0; x < out->width; x++) {
            for (int32_t channel = 0; channel < out->channels; channel++) {
                const int32_t mean = pooled(in, input, filter, steps, y, x, channel);
                *output++ = clamped(mean, f->smallest, f->largest);
            }
        }
    }
}

static inline void dense_all(const int8_t *input, int32_t inputs, int32_t input_offset,
                             const int8_t *weights, const int32_t *bias, int32_t outputs,
                             int32_t multiplier, int32_t shift, const struct factors *f,
                             int8_t *output)
{
    for (int32_t unit = 0; unit < outputs; unit++) {
        int32_t sum = bias[unit];
        for (int32_t i = 0; i < inputs; i++) {
            sum += (input[i] + input_offset) * *weights++;
        }
        output[unit] =
            clamped(rescaled(sum, multiplier, shift) + f->offset, f->smallest, f->largest);
    }
}

/* One of the two inputs of a sum. */
struct term {
    const int8_t *values;
    int32_t offset, multiplier, shift;
};

static inline int32_t term_of(const struct term *t, int32_t left_shift, int32_t i)
{
    return rescaled((t->values[i] + t->offset) * (1 << left_shift), t->multiplier, t->shift);
}

static inline void add_all(const struct term *a, const struct term *b, int32_t left_shift,
                           int32_t multiplier, int32_t shift, const struct factors *f, int32_t size,
                           int8_t *output)
{
    for (int32_t i = 0; i < size; i++) {
        const int32_t sum = term_of(a, left_shift, i) + term_of(b, left_shift, i);
        output[i] = clamped(rescaled(sum, multiplier, shift) + f->offset, f->smallest, f->largest);
    }
}

/* Scratch memory is anybody's: what is in it must matter to nobody, neither before nor after. */
static inline void spoil(void *scratch, int32_t bytes, int value)
{
    if (bytes > 0) {
        require(scratch != NULL && (uintptr_t)scratch % 16 == 0);
        memset(scratch, value, (size_t)bytes);
    }
}

#endif
