/* A frame, 100 times a second, costs up to the bins (products of 32 x 32 to 64 bits, then sums):
 *     window                         400 products
 *     FFT of 256 complex points    2,052 products    5,122 sums    256 radix-4 butterflies, 171 of
 *                                                                  them with 3 turns
 *     256 points to 235 bins         472 products    1,180 sums
 * The bands are in crydistill_bands_float.h and crydistill_bands_fixed.h.
 *
 * Why integers: under a loud tone the bands it leaves empty show the FFT's rounding noise, and a
 * float has only 24 bits of the 32 that are used here. In single precision the log-mel of a
 * full-scale tone would be 4e-3 off. */
#include "crydistill_mel.h"

#include "crydistill_products.h"

#include <string.h>

#ifdef CRYDISTILL_FIXED_POINT
#include "crydistill_bands_fixed.h"
#else
#include "crydistill_bands_float.h"
#endif

#if CRYDISTILL_FFT_LENGTH != 512
#error "the FFT below is of 512 real points: 256 complex ones, four stages of radix 4"
#endif
#if CRYDISTILL_FRAME_LENGTH % 4 != 0
#error "samples come in pairs, the halves of the window, too"
#endif
#if CRYDISTILL_FIRST_BIN + CRYDISTILL_LAST_BIN > CRYDISTILL_FFT_LENGTH / 2
#error "bins come in pairs, the lower of which must have a weight"
#endif

/* A frame is amplified by 2^gain as far as its peak allows. A sample then has INPUT_BITS fractional
 * bits, as many as the first stage has room for; each later stage takes two of them away before it
 * grows the points by up to four. What remains, and the factor 2 of the last step, make a bin of
 * CRYDISTILL_BIN_ONE x 2^gain for a real magnitude of 1. */
enum { INPUT_BITS = 13, MOST_GAIN = 14 };
enum { HALF = CRYDISTILL_FFT_LENGTH / 2, TURN = CRYDISTILL_FFT_LENGTH };
enum { MIDDLE = CRYDISTILL_FRAME_LENGTH / 2 };

typedef struct crydistill_point point;

static int32_t cosine(int angle) /* 512 to a turn */
{
    return crydistill_cosine[angle & (TURN - 1)];
}

static struct direction direction_of(int angle)
{
    return (struct direction){cosine(angle), cosine(angle - TURN / 4)};
}

/* Swap the four base-4 digits of 0..255 end for end. */
static int reversed(int i)
{
    return (i & 3) << 6 | (i & 12) << 2 | (i & 48) >> 2 | i >> 6;
}

static int gain_of(const int16_t *samples)
{
    int bits = 0, gain = 0;
    for (const int16_t *at = samples; at < samples + CRYDISTILL_FRAME_LENGTH; at += 2) {
        bits |= (at[0] ^ at[0] >> 15) | (at[1] ^ at[1] >> 15); /* ~x for a negative x */
    }
    while (gain < MOST_GAIN && bits << gain < 1 << 14) {
        gain++;
    }
    return gain;
}

/* Samples from..end, in pairs, with weights that lie `step` apart. Even samples become real parts, odd
 * ones imaginary parts, in the order the FFT wants. Amplified, a sample still has 16 bits. */
static void load_pairs(point *work, const int16_t *samples, int gain, int from, int end,
                       const int32_t *weight, int step)
{
    for (int at = from; at < end; at += 2, weight += 2 * step) {
        const int32_t even = samples[at] * (1 << gain), odd = samples[at + 1] * (1 << gain);
        work[reversed(at / 2)] = (point){weighted(even, weight[0], 31 - INPUT_BITS),
                                         weighted(odd, weight[step], 31 - INPUT_BITS)};
    }
}

/* The window rises, falls the same way, and is followed by zeros. */
static void load(point *work, const int16_t *samples, int gain)
{
    const int32_t *const window = crydistill_mel_window;
    load_pairs(work, samples, gain, 0, MIDDLE, window, 1);
    load_pairs(work, samples, gain, MIDDLE, CRYDISTILL_FRAME_LENGTH, window + MIDDLE, -1);
    for (int i = CRYDISTILL_FRAME_LENGTH / 2; i < HALF; i++) {
        work[reversed(i)] = (point){0, 0};
    }
}

static point quartered(point p)
{
    return (point){(p.re + 2) >> 2, (p.im + 2) >> 2};
}

/* The four points a stride apart become their sums, each a quarter turn further than the last. */
CRYDISTILL_INLINE void butterfly(point *at, int stride, point a, point b, point c, point d)
{
    const point even = {a.re + c.re, a.im + c.im}, even_odd = {a.re - c.re, a.im - c.im};
    const point odd = {b.re + d.re, b.im + d.im}, odd_odd = {b.re - d.re, b.im - d.im};
    at[0] = (point){even.re + odd.re, even.im + odd.im};
    at[stride] = (point){even_odd.re + odd_odd.im, even_odd.im - odd_odd.re};
    at[2 * stride] = (point){even.re - odd.re, even.im - odd.im};
    at[3 * stride] = (point){even_odd.re - odd_odd.im, even_odd.im + odd_odd.re};
}

/* In place, from digit-reversed to natural order: decimation in time. */
static void complex_fft(point *work)
{
    for (point *p = work; p < work + HALF; p += 4) {
        butterfly(p, 1, p[0], p[1], p[2], p[3]);
    }
    for (int quarter = 4; quarter < HALF; quarter *= 4) {
        for (point *p = work; p < work + HALF; p += 4 * quarter) {
            butterfly(p, quarter, quartered(p[0]), quartered(p[quarter]),
                      quartered(p[2 * quarter]), quartered(p[3 * quarter]));
        }
        for (int j = 1; j < quarter; j++) {
            const int angle = j * (TURN / 4 / quarter);
            const struct direction once = direction_of(angle), twice = direction_of(2 * angle);
            const struct direction thrice = direction_of(3 * angle);
            for (point *p = work + j; p < work + HALF; p += 4 * quarter) {
                butterfly(p, quarter, quartered(p[0]), turned(p[quarter], once, 2),
                          turned(p[2 * quarter], twice, 2), turned(p[3 * quarter], thrice, 2));
            }
        }
    }
}

/* From the FFT of the 256 complex points to the real FFT's bins, times 2, and on to the bands. */
static void add_bins(const point *work, band_sum *sums)
{
    for (int bin = CRYDISTILL_FIRST_BIN; bin <= HALF / 2; bin++) {
        const int mirror = HALF - bin;
        const point z = work[bin], y = work[mirror];
        const point even = {z.re + y.re, z.im - y.im};
        const point odd = turned((point){z.im + y.im, y.re - z.re}, direction_of(bin), 0);
        share(sums + crydistill_mel_band[bin], bin, even.re + odd.re, even.im + odd.im);
        if (mirror <= CRYDISTILL_LAST_BIN && mirror != bin) {
            share(sums + crydistill_mel_band[mirror], mirror, even.re - odd.re, even.im - odd.im);
        }
    }
}

static void transform(struct crydistill_mel *mel, crydistill_level *frame)
{
    /* One sum more at either end, for the parts of bins beyond the outermost bands' peaks. */
    band_sum sums[CRYDISTILL_MEL_BANDS + 2] = {0};
    const int gain = gain_of(mel->samples);
    load(mel->work, mel->samples, gain);
    complex_fft(mel->work);
    add_bins(mel->work, sums);
    for (int band = 0; band < CRYDISTILL_MEL_BANDS; band++) {
        frame[band] = level(sums[band + 1], gain);
    }
}

void crydistill_mel_init(struct crydistill_mel *mel)
{
    mel->filled = 0;
}

size_t crydistill_mel_push(struct crydistill_mel *mel, const int16_t *pcm, size_t n,
                           crydistill_level frame[CRYDISTILL_MEL_BANDS], bool *complete)
{
    const size_t wanted = (size_t)CRYDISTILL_FRAME_LENGTH - mel->filled;
    const size_t taken = n < wanted ? n : wanted;
    *complete = taken == wanted;
    if (taken > 0) {
        memcpy(mel->samples + mel->filled, pcm, taken * sizeof *pcm);
        mel->filled = (uint16_t)(mel->filled + taken);
    }
    if (*complete) {
        transform(mel, frame);
        mel->filled = CRYDISTILL_FRAME_LENGTH - CRYDISTILL_FRAME_HOP;
        memmove(mel->samples, mel->samples + CRYDISTILL_FRAME_HOP,
                mel->filled * sizeof *mel->samples);
    }
    return taken;
}
