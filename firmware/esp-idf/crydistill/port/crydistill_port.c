#include "crydistill_port.h"

void crydistill_amplify(const int32_t *raw, int16_t *pcm, size_t n, int gain_bits,
                        struct crydistill_level_meter *meter)
{
    for (size_t i = 0; i < n; i++) {
        int32_t value = raw[i] >> (16 - gain_bits);
        if (value < INT16_MIN || value > INT16_MAX) {
            value = value < 0 ? INT16_MIN : INT16_MAX;
            meter->clipped++;
        }
        pcm[i] = (int16_t)value;
        meter->energy += (uint64_t)((int64_t)value * value);
    }
    meter->samples += (uint32_t)n;
}

int32_t crydistill_level_decibels(const struct crydistill_level_meter *meter)
{
    enum { SILENCE = -1000, ONE = 1 << 20 };
    /* 3.0103 dB to a factor of two, linear in between, up to 0.3 dB off. The mean square has 10
     * fractional bits: at ONE it is 2^10, 20 doublings below full scale. */
    uint64_t mean = meter->samples == 0 ? 0 : (meter->energy << 10) / meter->samples;
    if (mean == 0) {
        return SILENCE;
    }
    int32_t doublings = -20;
    for (; mean >= 2 * ONE; mean >>= 1) {
        doublings++;
    }
    for (; mean < ONE; mean <<= 1) {
        doublings--;
    }
    const int64_t tenths = ((int64_t)doublings * ONE + (int64_t)(mean - ONE)) * 30103;
    return (int32_t)(tenths / 1000 / ONE);
}
