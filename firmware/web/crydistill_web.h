/* A student as data, for the library in WebAssembly, which is compiled without one.
 *
 * An image begins with struct crydistill_web_image; all pointers in it are offsets from its first
 * byte until crydistill_web_load has added that byte's address. crydistill.web.image writes it, with
 * the structs of the library's headers laid out as for wasm32. */
#ifndef CRYDISTILL_WEB_H
#define CRYDISTILL_WEB_H

#include "crydistill.h"
#include "crydistill_selftest.h"

/* version: CRYDISTILL_FORMAT_VERSION
 * pointers: offsets of all pointers in the image, this one left out
 * model: its `run` and `kernels` are NULL, and are set when the image is loaded */
struct crydistill_web_image {
    uint32_t version;
    uint32_t pointer_count;
    const uint32_t *pointers;
    struct crydistill_model model;
    struct crydistill_golden golden;
};

#define CRYDISTILL_WEB_EXPORT(name) __attribute__((export_name(#name)))

/* Take the student at an address, once. Returns how many bytes of arena it needs; 0: it is of another
 * version. */
CRYDISTILL_WEB_EXPORT(load)
uint32_t crydistill_web_load(struct crydistill_web_image *at);

/* Listen from the beginning. This, and what follows, returns NULL, or in a line what is wrong. */
CRYDISTILL_WEB_EXPORT(start) const char *crydistill_web_start(int8_t *work);

/* Where samples are put before a push, and how many fit. */
CRYDISTILL_WEB_EXPORT(samples) int16_t *crydistill_web_samples(void);
CRYDISTILL_WEB_EXPORT(capacity) uint32_t crydistill_web_capacity(void);

CRYDISTILL_WEB_EXPORT(push) const char *crydistill_web_push(uint32_t n);
CRYDISTILL_WEB_EXPORT(gap) const char *crydistill_web_gap(uint32_t n);

/* The firmware's self-test with the golden vectors of the image: "passed", or what failed. After a
 * start, for its arena, and before the next. */
CRYDISTILL_WEB_EXPORT(selftest) const char *crydistill_web_selftest(void);

/* A detector by itself: the vote on scores that the page has kept, the event of each, and the onset
 * that belongs to it. */
CRYDISTILL_WEB_EXPORT(vote_start)
const char *crydistill_web_vote_start(float threshold, uint32_t n, uint32_t m, uint32_t hold_ms);
CRYDISTILL_WEB_EXPORT(vote) int32_t crydistill_web_vote(float score);
CRYDISTILL_WEB_EXPORT(vote_onset) uint32_t crydistill_web_vote_onset(void);

#endif
