/* A frame, 100 times a second, costs 11,120 products and sums in single precision:
 *     window                                   400
 *     FFT of 256 complex points              7,174    256 radix-4 butterflies, 171 with 3 turns
 *     256 points to 255 magnitudes           2,560    and 256 square roots
 *     mel bands                                986    and 64 logarithms */
#include "crydistill_mel.h"

#include <math.h>
#include <string.h>

#if CRYDISTILL_FFT_LENGTH != 512
#error "the FFT below is of 512 real points: 256 complex ones, four stages of radix 4"
#endif

enum { HALF = CRYDISTILL_FFT_LENGTH / 2, TURN = CRYDISTILL_FFT_LENGTH };

static float cosine(int angle) /* 512 to a turn */
{
    return crydistill_cosine[angle & (TURN - 1)];
}

static float sine(int angle)
{
    return cosine(angle - TURN / 4);
}

/* Swap the four base-4 digits of 0..255 end for end. */
static int reversed(int i)
{
    return (i & 3) << 6 | (i & 12) << 2 | (i & 48) >> 2 | i >> 6;
}

/* Even samples become real parts, odd ones imaginary parts, in the order the FFT wants. */
static void load(float *work, const int16_t *samples)
{
    for (int i = 0; i < HALF; i++) {
        float *point = work + 2 * reversed(i);
        for (int part = 0; part < 2; part++) {
            const int at = 2 * i + part;
            point[part] =
                at < CRYDISTILL_FRAME_LENGTH ? (float)samples[at] * crydistill_window[at] : 0.0f;
        }
    }
}

/* Multiply by exp(-i angle). */
static void turn(float *point, int angle)
{
    const float c = cosine(angle), s = sine(angle), re = point[0], im = point[1];
    point[0] = c * re + s * im;
    point[1] = c * im - s * re;
}

static void butterfly(float *a, float *b, float *c, float *d)
{
    const float sum_re = a[0] + c[0], sum_im = a[1] + c[1];
    const float dif_re = a[0] - c[0], dif_im = a[1] - c[1];
    const float odd_sum_re = b[0] + d[0], odd_sum_im = b[1] + d[1];
    const float odd_dif_re = b[0] - d[0], odd_dif_im = b[1] - d[1];
    a[0] = sum_re + odd_sum_re;
    a[1] = sum_im + odd_sum_im;
    b[0] = dif_re + odd_dif_im;
    b[1] = dif_im - odd_dif_re;
    c[0] = sum_re - odd_sum_re;
    c[1] = sum_im - odd_sum_im;
    d[0] = dif_re - odd_dif_im;
    d[1] = dif_im + odd_dif_re;
}

/* In place, from digit-reversed to natural order: decimation in time. */
static void complex_fft(float *work)
{
    for (int quarter = 1; quarter < HALF; quarter *= 4) {
        for (int j = 0; j < quarter; j++) {
            const int angle = j * (TURN / 4 / quarter);
            for (int first = j; first < HALF; first += 4 * quarter) {
                float *a = work + 2 * first;
                float *b = a + 2 * quarter, *c = b + 2 * quarter, *d = c + 2 * quarter;
                if (j > 0) {
                    turn(b, angle);
                    turn(c, 2 * angle);
                    turn(d, 3 * angle);
                }
                butterfly(a, b, c, d);
            }
        }
    }
}

/* From the FFT of the 256 complex points to the magnitudes of the real FFT's bins 1 to 255, left in
 * work[2 * bin]. The factor 1/2 of this step is in the window. */
static void magnitudes(float *work)
{
    for (int bin = 1; bin <= HALF / 2; bin++) {
        float *z = work + 2 * bin, *y = work + 2 * (HALF - bin);
        const float even_re = z[0] + y[0], even_im = z[1] - y[1];
        float odd[2] = {z[1] + y[1], y[0] - z[0]};
        turn(odd, bin);
        const float re = even_re + odd[0], im = even_im + odd[1];
        const float mirror_re = even_re - odd[0], mirror_im = even_im - odd[1];
        z[0] = sqrtf(re * re + im * im);
        y[0] = sqrtf(mirror_re * mirror_re + mirror_im * mirror_im);
    }
}

static void log_bands(const float *work, float *frame)
{
    const float *weight = crydistill_mel_weights;
    for (int band = 0; band < CRYDISTILL_MEL_BANDS; band++) {
        const int first = crydistill_mel_first[band];
        float sum = 0.0f;
        for (int bin = first; bin < first + crydistill_mel_bins[band]; bin++) {
            sum += *weight++ * work[2 * bin];
        }
        frame[band] = logf(sum + CRYDISTILL_LOG_OFFSET);
    }
}

void crydistill_mel_init(struct crydistill_mel *mel)
{
    mel->filled = 0;
}

size_t crydistill_mel_push(struct crydistill_mel *mel, const int16_t *pcm, size_t n,
                           float frame[CRYDISTILL_MEL_BANDS], bool *complete)
{
    const size_t wanted = (size_t)CRYDISTILL_FRAME_LENGTH - mel->filled;
    const size_t taken = n < wanted ? n : wanted;
    *complete = taken == wanted;
    if (taken > 0) {
        memcpy(mel->samples + mel->filled, pcm, taken * sizeof *pcm);
        mel->filled = (uint16_t)(mel->filled + taken);
    }
    if (*complete) {
        load(mel->work, mel->samples);
        complex_fft(mel->work);
        magnitudes(mel->work);
        log_bands(mel->work, frame);
        mel->filled = CRYDISTILL_FRAME_LENGTH - CRYDISTILL_FRAME_HOP;
        memmove(mel->samples, mel->samples + CRYDISTILL_FRAME_HOP,
                mel->filled * sizeof *mel->samples);
    }
    return taken;
}
