/* From the bins of a spectrum to log-mel bands, in integers. Part of crydistill_mel.c. A frame
 * costs per bin (235) 2 products of 32 x 32 to 64 bits, 2 smaller ones and 3 sums of 64 bits, per
 * band (64) 1 such product and a smaller one. Square roots are within 2.5e-5 of their value, logarithms
 * within 5e-5. */

typedef uint64_t band_sum; /* in bins / 65,536 */

static int leading_zeros(uint64_t word) /* of a word that is not 0 */
{
    const uint32_t high = (uint32_t)(word >> 32);
    uint32_t half = high != 0 ? high : (uint32_t)word;
    int count = high != 0 ? 0 : 32;
#if defined(__GNUC__)
    count += __builtin_clz(half);
#else
    for (; (half >> 31) == 0; half <<= 1) {
        count++;
    }
#endif
    return count;
}

/* From a table's entry towards the next by a fraction of 16 bits, which the result has, too. */
static uint32_t between(const uint16_t *entry, uint32_t fraction)
{
    return ((uint32_t)entry[0] << 16) + ((uint32_t)entry[1] - entry[0]) * fraction;
}

/* The word is brought to the range of the table, 2^62 to 2^64, by an even shift. */
static uint32_t square_root(uint64_t word)
{
    if (word == 0) {
        return 0;
    }
    const int shift = leading_zeros(word) & ~1;
    const uint32_t top = upper_half(word, shift);
    return between(&crydistill_sqrt[(top >> 24) - 64], (top >> 8) & 0xffff) >> (shift / 2);
}

/* Add a bin to the two bands it lies in, sums[0] the lower one. */
static void share(band_sum *sums, int bin, int32_t re, int32_t im)
{
    const uint32_t magnitude = square_root(power_of(re, im));
    const uint64_t rising = share_of(magnitude, crydistill_mel_rising_q16[bin]);
    sums[0] += ((uint64_t)magnitude << 16) - rising;
    sums[1] += rising;
}

static crydistill_level level(band_sum sum, int gain)
{
    sum += CRYDISTILL_LOG_OFFSET_SUM << gain;
    const int shift = leading_zeros(sum);
    const uint32_t mantissa = upper_half(sum, shift); /* 2^31 to 2^32 */
    const uint32_t fraction =
        between(&crydistill_log2[(mantissa >> 25) & 63], (mantissa >> 9) & 0xffff);
    const int exponent = 63 - shift - gain - CRYDISTILL_SUM_BITS;
    const int32_t log2 = exponent * 65536 + (int32_t)(fraction >> 16);
    return part_of(log2, CRYDISTILL_LN2_Q31);
}
