#include "crydistill_detector.h"

#include <float.h>
#include <stddef.h>

#include "crydistill_tables.h"

enum { MOST_WINDOWS = 64, LONGEST_HOLD_MS = 86400000 };

static uint8_t bit_count(uint64_t word)
{
    uint8_t count = 0;
    for (; word != 0; word &= word - 1) {
        count++;
    }
    return count;
}

static uint32_t highest_bit(uint64_t word)
{
    uint32_t position = 0;
    while (word >>= 1) {
        position++;
    }
    return position;
}

static enum crydistill_error refusal(const struct crydistill_settings *settings)
{
    if (settings == NULL) {
        return CRYDISTILL_ERROR_SETTINGS;
    }
    /* Written so that a NaN is refused. */
    if (!(settings->threshold >= 0.0f && settings->threshold <= FLT_MAX)) {
        return CRYDISTILL_ERROR_THRESHOLD;
    }
    if (settings->n < 1 || settings->n > settings->m || settings->m > MOST_WINDOWS) {
        return CRYDISTILL_ERROR_VOTES;
    }
    return settings->hold_ms > LONGEST_HOLD_MS ? CRYDISTILL_ERROR_HOLD : CRYDISTILL_OK;
}

enum crydistill_error crydistill_detector_set(struct crydistill_detector *detector,
                                              const struct crydistill_settings *settings)
{
    const enum crydistill_error error = refusal(settings);
    if (error != CRYDISTILL_OK) {
        return error;
    }
    const uint32_t hop_ms = CRYDISTILL_WINDOW_HOP_MS;
    const uint32_t hold = (settings->hold_ms + hop_ms - 1) / hop_ms;
    detector->threshold = settings->threshold;
    detector->hold_windows = hold > 0 ? hold : 1;
    detector->history_mask = UINT64_MAX >> (MOST_WINDOWS - settings->m);
    detector->n = settings->n;
    return CRYDISTILL_OK;
}

void crydistill_detector_reset(struct crydistill_detector *detector)
{
    detector->history = 0;
    detector->silent = 0;
    detector->windows = 0;
    detector->onset = 0;
    detector->on = false;
}

enum crydistill_error crydistill_detector_init(struct crydistill_detector *detector,
                                               const struct crydistill_settings *settings)
{
    const enum crydistill_error error = crydistill_detector_set(detector, settings);
    if (error == CRYDISTILL_OK) {
        crydistill_detector_reset(detector);
    }
    return error;
}

enum crydistill_event crydistill_detector_push(struct crydistill_detector *detector, float score)
{
    const bool voted = score >= detector->threshold;
    const uint32_t window = detector->windows++;

    detector->history = (detector->history << 1 | (voted ? 1u : 0u)) & detector->history_mask;
    if (voted) {
        detector->silent = 0;
    } else if (detector->silent < UINT32_MAX) {
        detector->silent++;
    }
    const bool enough = bit_count(detector->history) >= detector->n;
    if (enough && !detector->on) {
        detector->on = true;
        detector->onset = window - highest_bit(detector->history);
        return CRYDISTILL_ON;
    }
    if (detector->on && !enough && detector->silent >= detector->hold_windows) {
        detector->on = false;
        return CRYDISTILL_OFF;
    }
    return CRYDISTILL_NONE;
}
