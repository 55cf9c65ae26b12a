/* The detector: cry scores in, alerts out. The rule is specified in docs/detector.md. */
#ifndef CRYDISTILL_DETECTOR_H
#define CRYDISTILL_DETECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "crydistill_error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* threshold: score from which on a window votes, finite, at least 0
 * n, m: an alert needs n votes among the last m windows, 1 <= n <= m <= 64
 * hold_ms: it lasts until no window voted for so long, up to a day */
struct crydistill_settings {
    float threshold;
    uint8_t n;
    uint8_t m;
    uint32_t hold_ms;
};

enum crydistill_event { CRYDISTILL_NONE, CRYDISTILL_ON, CRYDISTILL_OFF };

/* State of one detector. `on`, `onset` (the alert's first vote, as a window's index) and `windows`
 * (scores taken so far) may be read. */
struct crydistill_detector {
    float threshold;
    uint32_t hold_windows;
    uint64_t history; /* bit i: the window i windows ago voted */
    uint64_t history_mask;
    uint32_t silent; /* windows since the last vote; stops counting at the largest number */
    uint32_t windows;
    uint32_t onset;
    uint8_t n;
    bool on;
};

/* Start with these settings. A setting out of its range is named, and the detector left as it is. */
CRYDISTILL_MUST_CHECK
enum crydistill_error crydistill_detector_init(struct crydistill_detector *detector,
                                               const struct crydistill_settings *settings);

/* Use other settings from the next window on. Windows that have voted keep their vote, and an alert
 * that is on stays on until the new settings end it. Errors as crydistill_detector_init. */
CRYDISTILL_MUST_CHECK
enum crydistill_error crydistill_detector_set(struct crydistill_detector *detector,
                                              const struct crydistill_settings *settings);

/* Start anew with the same settings: no window has voted, there is no alert. */
void crydistill_detector_reset(struct crydistill_detector *detector);

/* Take the next window's score. NaN never votes. */
enum crydistill_event crydistill_detector_push(struct crydistill_detector *detector, float score);

#ifdef __cplusplus
}
#endif
#endif
