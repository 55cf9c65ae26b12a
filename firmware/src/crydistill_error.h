/* What the library refuses, by name. */
#ifndef CRYDISTILL_ERROR_H
#define CRYDISTILL_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Before a function whose result must not be ignored: gcc and clang then warn. */
#if defined(__GNUC__)
#define CRYDISTILL_MUST_CHECK __attribute__((warn_unused_result))
#else
#define CRYDISTILL_MUST_CHECK
#endif

/* Each is named after the argument that is wrong. */
enum crydistill_error {
    CRYDISTILL_OK,
    CRYDISTILL_ERROR_SELF,
    CRYDISTILL_ERROR_CONFIG,
    CRYDISTILL_ERROR_MODEL,
    CRYDISTILL_ERROR_MODEL_VERSION,
    CRYDISTILL_ERROR_KERNELS,
    CRYDISTILL_ERROR_SCRATCH,
    CRYDISTILL_ERROR_ARENA,
    CRYDISTILL_ERROR_ARENA_ALIGNMENT,
    CRYDISTILL_ERROR_ARENA_BYTES,
    CRYDISTILL_ERROR_LISTENER,
    CRYDISTILL_ERROR_SETTINGS,
    CRYDISTILL_ERROR_THRESHOLD,
    CRYDISTILL_ERROR_VOTES,
    CRYDISTILL_ERROR_HOLD,
    CRYDISTILL_ERROR_PCM,
    CRYDISTILL_ERROR_RING,
    CRYDISTILL_ERROR_NOT_STARTED,
    CRYDISTILL_ERROR_BUSY
};

/* What is wrong and what to do about it, in one line for a log. */
const char *crydistill_error_text(enum crydistill_error error);

#ifdef __cplusplus
}
#endif
#endif
