/* From the bins of a spectrum to log-mel bands, in single precision. Part of crydistill_mel.c.
 * A frame costs 235 square roots, 64 logarithms and 1,300 products and sums. */
#include <math.h>

typedef float band_sum;

/* Add a bin to the two bands it lies in, sums[0] the lower one. */
static void share(band_sum *sums, int bin, int32_t re, int32_t im)
{
    const float x = (float)re, y = (float)im;
    const float magnitude = sqrtf(x * x + y * y);
    const float rising = magnitude * crydistill_mel_rising[bin];
    sums[0] += magnitude - rising;
    sums[1] += rising;
}

static crydistill_level level(band_sum sum, int gain)
{
    return logf(sum / (CRYDISTILL_BIN_ONE * (float)(1 << gain)) + CRYDISTILL_LOG_OFFSET);
}
