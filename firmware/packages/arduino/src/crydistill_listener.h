// The library with all that a sketch needs around it: arena, default settings, a ring of a second.
// The functions behind it are in crydistill.h.
#ifndef CRYDISTILL_LISTENER_H
#define CRYDISTILL_LISTENER_H

#include "crydistill_model.h"

class CryListener {
  public:
    // Start listening. `changed` is called by update when an alert begins or ends. Returns NULL, or in
    // a line what is wrong.
    const char *begin(void (*changed)(bool crying))
    {
        struct crydistill_config config = {};
        config.model = &crydistill_student;
        config.settings = &CRYDISTILL_DEFAULT_PRESET;
        config.arena = arena;
        config.arena_bytes = sizeof arena;
        config.listener = onWindow;
        config.context = this;
        onChange = changed;
        enum crydistill_error error = crydistill_ring_init(&ring, samples, SAMPLES);
        if (error == CRYDISTILL_OK) {
            error = crydistill_init(&ear, &config);
        }
        return error == CRYDISTILL_OK ? nullptr : crydistill_error_text(error);
    }

    // The next samples, 16 kHz, mono; also from an interrupt or another task.
    void write(const int16_t *pcm, uint32_t n)
    {
        crydistill_ring_write(&ring, pcm, n);
    }

    // From loop(): listen to what was written, a frame of 10 ms at a time; the one that completes a
    // window takes as long as the network. Returns whether there was anything to do.
    bool update()
    {
        bool idle = true;
        crydistill_step(&ear, &ring, &idle);
        return !idle;
    }

    // Score of the latest window; NaN where sound was lost.
    float score() const
    {
        return latest;
    }

  private:
    static void onWindow(void *context, const struct crydistill_window *window)
    {
        CryListener *self = static_cast<CryListener *>(context);
        self->latest = window->score;
        if (window->event != CRYDISTILL_NONE) {
            self->onChange(window->event == CRYDISTILL_ON);
        }
    }

    CRYDISTILL_ALIGNED int8_t arena[CRYDISTILL_ARENA_BYTES];
    struct crydistill ear;
    // The network takes less than a second, and then catches up.
    enum { SAMPLES = CRYDISTILL_SAMPLE_RATE };
    int16_t samples[SAMPLES];
    struct crydistill_ring ring;
    void (*onChange)(bool crying);
    float latest;
};

#endif
