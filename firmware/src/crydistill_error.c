#include "crydistill_error.h"

const char *crydistill_error_text(enum crydistill_error error)
{
    switch (error) {
    case CRYDISTILL_OK:
        return "no error";
    case CRYDISTILL_ERROR_SELF:
        return "self is NULL; pass the address of a struct crydistill";
    case CRYDISTILL_ERROR_CONFIG:
        return "config is NULL; pass the address of a struct crydistill_config";
    case CRYDISTILL_ERROR_MODEL:
        return "model is NULL; set it to the student that the exported header declares";
    case CRYDISTILL_ERROR_MODEL_VERSION:
        return "model is of another version than the library; run `crydistill export` again and "
               "compile both";
    case CRYDISTILL_ERROR_KERNELS:
        return "kernels lack one that the model needs; start from a copy of the model's table";
    case CRYDISTILL_ERROR_SCRATCH:
        return "model: the vendor's kernels want more scratch memory than was planned; use a version "
               "that docs/firmware.md names, or export without --kernels";
    case CRYDISTILL_ERROR_ARENA:
        return "arena is NULL; set it to an array of as many bytes as the exported header says";
    case CRYDISTILL_ERROR_ARENA_ALIGNMENT:
        return "arena is not aligned to 16 bytes; declare it CRYDISTILL_ALIGNED";
    case CRYDISTILL_ERROR_ARENA_BYTES:
        return "arena_bytes is less than the model needs; the exported header says how many";
    case CRYDISTILL_ERROR_LISTENER:
        return "listener is NULL; set it to a function that takes the windows";
    case CRYDISTILL_ERROR_SETTINGS:
        return "settings is NULL; set it to one of the student's presets";
    case CRYDISTILL_ERROR_THRESHOLD:
        return "settings: threshold must be a finite number, at least 0";
    case CRYDISTILL_ERROR_VOTES:
        return "settings: n and m must be 1 <= n <= m <= 64";
    case CRYDISTILL_ERROR_HOLD:
        return "settings: hold_ms must be at most 86400000, a day";
    case CRYDISTILL_ERROR_PCM:
        return "pcm is NULL, but n is not 0";
    case CRYDISTILL_ERROR_RING:
        return "ring is NULL or has no room for two samples; call crydistill_ring_init and look at "
               "its result";
    case CRYDISTILL_ERROR_NOT_STARTED:
        return "not started; call crydistill_init and look at its result";
    case CRYDISTILL_ERROR_BUSY:
        return "called by the listener or by a second task while the listener runs; push, gap and "
               "step after it has returned";
    }
    return "no such error";
}
