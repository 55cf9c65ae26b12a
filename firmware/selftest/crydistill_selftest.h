/* A self-test for the start of a firmware: made-up audio through the whole library, compared with
 * what the Python package made of the same audio when the student was exported. */
#ifndef CRYDISTILL_SELFTEST_H
#define CRYDISTILL_SELFTEST_H

#include "crydistill.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An alert of the golden audio that begins or ends. */
struct crydistill_golden_event {
    uint32_t window;
    enum crydistill_event event;
    uint32_t onset;
};

/* Written by `crydistill export esp-idf`.
 * windows: of audio
 * gap: so many windows are followed by a gap of a second, 0: none
 * patch, logits: of window `probe`
 * memory, next_memory: of a student with memory, before and after that window
 * settings: of the detector, its threshold in the widest gap between the scores */
struct crydistill_golden {
    uint32_t windows, gap, probe;
    const int8_t *patch;
    const int8_t *logits;
    const int8_t *memory, *next_memory;
    struct crydistill_settings settings;
    const struct crydistill_golden_event *events;
    uint32_t event_count;
};

enum crydistill_selftest_result {
    CRYDISTILL_SELFTEST_PASSED,
    CRYDISTILL_SELFTEST_REFUSED,   /* crydistill_init refused the config */
    CRYDISTILL_SELFTEST_FRONT_END, /* a patch is not what it should be */
    CRYDISTILL_SELFTEST_NETWORK,   /* logits of the golden patch, or the memory after it */
    CRYDISTILL_SELFTEST_MEMORY,    /* what is remembered in the course of the audio */
    CRYDISTILL_SELFTEST_DETECTOR   /* alerts */
};

/* Takes as long as the network takes for all golden windows. Of the config, model, kernels and arena
 * are used; `ear` wants a new crydistill_init afterwards. Patches, logits and the memory may differ by
 * a step, and the memory in the course of the audio by two: the front end's and the dense layer's
 * rounding is not the same everywhere. */
enum crydistill_selftest_result crydistill_selftest(struct crydistill *ear,
                                                    const struct crydistill_config *config,
                                                    const struct crydistill_golden *golden);

/* "passed", or what failed, for a log. */
const char *crydistill_selftest_text(enum crydistill_selftest_result result);

/* State of the made-up audio: bursts of a gliding, bright tone between hiss. Integers only, so that
 * every machine makes the same; the twin of crydistill.device.selftest in Python. */
struct crydistill_babble {
    uint32_t noise, phase, step, glide, sample;
};

void crydistill_babble_init(struct crydistill_babble *babble);
int16_t crydistill_babble_next(struct crydistill_babble *babble);

#ifdef __cplusplus
}
#endif
#endif
