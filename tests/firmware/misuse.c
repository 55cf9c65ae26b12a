/* Each way to misuse the library, and what it says.
 *
 *     misuse NAME             the error that it gives, as text
 *     misuse hear FIRST       a line per window of 5 s of made-up audio from sample FIRST on
 *     misuse reset LAST       the same from the start; in window LAST the listener starts anew with
 *     misuse init LAST            crydistill_reset or crydistill_init
 *     misuse refused LAST         or fails to
 *     misuse lost LAST        before the audio there is a gap of 10 windows
 *     misuse stepped-reset LAST   as reset, init and refused, with a backlog that is full whenever the
 *     misuse stepped-init LAST        listener is called
 *     misuse stepped-refused LAST
 *     misuse settle LAST      in window LAST it sets the lowest threshold, and then one out of range */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crydistill_model.h"
#include "crydistill_selftest.h"

enum { SAMPLES = 80000, PIECE = 1000, HOP = 7680 };

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES + 1];
static struct crydistill ear;
static const int16_t silence[PIECE];

static void ignore(void *context, const struct crydistill_window *window)
{
    (void)context;
    (void)window;
}

static struct crydistill_config good(void)
{
    const struct crydistill_config config = {.model = &crydistill_student,
                                             .settings = &CRYDISTILL_DEFAULT_PRESET,
                                             .arena = arena,
                                             .arena_bytes = CRYDISTILL_ARENA_BYTES,
                                             .listener = ignore};
    return config;
}

static enum crydistill_error self_is_null(void)
{
    const struct crydistill_config config = good();
    return crydistill_init(NULL, &config);
}

static enum crydistill_error config_is_null(void)
{
    return crydistill_init(&ear, NULL);
}

static enum crydistill_error model_is_null(void)
{
    struct crydistill_config config = good();
    config.model = NULL;
    return crydistill_init(&ear, &config);
}

static enum crydistill_error model_of_another_version(void)
{
    struct crydistill_config config = good();
    struct crydistill_model other = {.version = crydistill_student.version + 1};
    config.model = &other;
    return crydistill_init(&ear, &config);
}

static enum crydistill_error with_own_kernels(const struct crydistill_kernels *kernels)
{
    struct crydistill_config config = good();
    struct crydistill_model model = crydistill_student;
    model.kernels = kernels;
    config.model = &model;
    return crydistill_init(&ear, &config);
}

static enum crydistill_error own_kernels_are_null(void)
{
    return with_own_kernels(NULL);
}

static enum crydistill_error own_kernels_are_empty(void)
{
    const struct crydistill_kernels none = {0};
    return with_own_kernels(&none);
}

static enum crydistill_error kernels_are_empty(void)
{
    struct crydistill_config config = good();
    const struct crydistill_kernels none = {0};
    config.kernels = &none;
    return crydistill_init(&ear, &config);
}

static enum crydistill_error kernels_lack_one(void)
{
    struct crydistill_config config = good();
    struct crydistill_kernels most = *crydistill_student.kernels;
    most.fully_connected = NULL;
    config.kernels = &most;
    return crydistill_init(&ear, &config);
}

static bool asks_for_more(void)
{
    return false;
}

static enum crydistill_error scratch_is_too_small(void)
{
    struct crydistill_config config = good();
    struct crydistill_model model = crydistill_student;
    model.fits = asks_for_more;
    config.model = &model;
    return crydistill_init(&ear, &config);
}

static enum crydistill_error arena_is_null(void)
{
    struct crydistill_config config = good();
    config.arena = NULL;
    return crydistill_init(&ear, &config);
}

static enum crydistill_error arena_is_misaligned(void)
{
    struct crydistill_config config = good();
    config.arena = arena + 1;
    return crydistill_init(&ear, &config);
}

static enum crydistill_error arena_is_too_small(void)
{
    struct crydistill_config config = good();
    config.arena_bytes--;
    return crydistill_init(&ear, &config);
}

static enum crydistill_error listener_is_null(void)
{
    struct crydistill_config config = good();
    config.listener = NULL;
    return crydistill_init(&ear, &config);
}

static enum crydistill_error with_settings(const struct crydistill_settings *settings)
{
    struct crydistill_config config = good();
    config.settings = settings;
    return crydistill_init(&ear, &config);
}

static enum crydistill_error settings_are_null(void)
{
    return with_settings(NULL);
}

static enum crydistill_error threshold_is_negative(void)
{
    const struct crydistill_settings settings = {-0.5f, 5, 9, 10000};
    return with_settings(&settings);
}

static enum crydistill_error votes_are_none(void)
{
    const struct crydistill_settings settings = {0.5f, 0, 9, 10000};
    return with_settings(&settings);
}

static enum crydistill_error hold_is_too_long(void)
{
    const struct crydistill_settings settings = {0.5f, 5, 9, 86400001};
    return with_settings(&settings);
}

static enum crydistill_error push_before_init(void)
{
    return crydistill_push(&ear, silence, PIECE);
}

static enum crydistill_error gap_before_init(void)
{
    return crydistill_gap(&ear, PIECE);
}

static enum crydistill_error reset_before_init(void)
{
    return crydistill_reset(&ear);
}

static enum crydistill_error set_settings_before_init(void)
{
    return crydistill_set_settings(&ear, &CRYDISTILL_DEFAULT_PRESET);
}

/* Of a listener that was nothing but noise before. */
static enum crydistill_error push_after_a_refused_init(void)
{
    memset(&ear, 0xa5, sizeof ear);
    return listener_is_null() == CRYDISTILL_OK ? CRYDISTILL_OK
                                               : crydistill_push(&ear, silence, PIECE);
}

static enum crydistill_error pcm_is_null(void)
{
    const struct crydistill_config config = good();
    const enum crydistill_error error = crydistill_init(&ear, &config);
    return error == CRYDISTILL_OK ? crydistill_push(&ear, NULL, PIECE) : error;
}

static enum crydistill_error ring_is_null(void)
{
    static int16_t samples[PIECE];
    return crydistill_ring_init(NULL, samples, PIECE);
}

static enum crydistill_error ring_is_too_small(void)
{
    static int16_t sample;
    static struct crydistill_ring ring;
    return crydistill_ring_init(&ring, &sample, 1);
}

static enum crydistill_error step_before_init(void)
{
    return crydistill_step(&ear, NULL, NULL);
}

static enum crydistill_error step_with_a_ring_that_was_not_started(void)
{
    static struct crydistill_ring ring;
    const struct crydistill_config config = good();
    const enum crydistill_error error = crydistill_init(&ear, &config);
    return error == CRYDISTILL_OK ? crydistill_step(&ear, &ring, NULL) : error;
}

static enum crydistill_error inside;

static void push_inside(void *context, const struct crydistill_window *window)
{
    (void)window;
    inside = crydistill_push(context, silence, PIECE);
}

static void gap_inside(void *context, const struct crydistill_window *window)
{
    (void)window;
    inside = crydistill_gap(context, PIECE);
}

static void step_inside(void *context, const struct crydistill_window *window)
{
    (void)window;
    inside = crydistill_step(context, NULL, NULL);
}

static enum crydistill_error first_window_of(crydistill_listener *listener)
{
    struct crydistill_config config = good();
    config.listener = listener;
    config.context = &ear;
    enum crydistill_error error = crydistill_init(&ear, &config);
    for (int n = 0; error == CRYDISTILL_OK && n < 16; n++) {
        error = crydistill_push(&ear, silence, PIECE);
    }
    return error == CRYDISTILL_OK ? inside : error;
}

static enum crydistill_error push_by_the_listener(void)
{
    return first_window_of(push_inside);
}

static enum crydistill_error gap_by_the_listener(void)
{
    return first_window_of(gap_inside);
}

static enum crydistill_error step_by_the_listener(void)
{
    return first_window_of(step_inside);
}

static const struct misuse {
    const char *name;
    enum crydistill_error (*commit)(void);
} MISUSES[] = {
    {"self_is_null", self_is_null},
    {"config_is_null", config_is_null},
    {"model_is_null", model_is_null},
    {"model_of_another_version", model_of_another_version},
    {"own_kernels_are_null", own_kernels_are_null},
    {"own_kernels_are_empty", own_kernels_are_empty},
    {"kernels_are_empty", kernels_are_empty},
    {"kernels_lack_one", kernels_lack_one},
    {"scratch_is_too_small", scratch_is_too_small},
    {"arena_is_null", arena_is_null},
    {"arena_is_misaligned", arena_is_misaligned},
    {"arena_is_too_small", arena_is_too_small},
    {"listener_is_null", listener_is_null},
    {"settings_are_null", settings_are_null},
    {"threshold_is_negative", threshold_is_negative},
    {"votes_are_none", votes_are_none},
    {"hold_is_too_long", hold_is_too_long},
    {"push_before_init", push_before_init},
    {"gap_before_init", gap_before_init},
    {"reset_before_init", reset_before_init},
    {"set_settings_before_init", set_settings_before_init},
    {"push_after_a_refused_init", push_after_a_refused_init},
    {"pcm_is_null", pcm_is_null},
    {"ring_is_null", ring_is_null},
    {"ring_is_too_small", ring_is_too_small},
    {"step_before_init", step_before_init},
    {"step_with_a_ring_that_was_not_started", step_with_a_ring_that_was_not_started},
    {"step_by_the_listener", step_by_the_listener},
    {"push_by_the_listener", push_by_the_listener},
    {"gap_by_the_listener", gap_by_the_listener},
};

/* What the listener does in window `last` of the first beginning. */
struct plan {
    const char *what;
    uint32_t last;
    struct crydistill_config config;
};

static enum crydistill_error settle(void)
{
    const struct crydistill_settings lowest = {0.0f, 1, 1, 0}, wrong = {0.5f, 2, 1, 0};
    const enum crydistill_error error = crydistill_set_settings(&ear, &lowest);
    return error == CRYDISTILL_OK ? crydistill_set_settings(&ear, &wrong) : error;
}

static void carry_out(const struct plan *plan)
{
    enum crydistill_error error = CRYDISTILL_OK;
    if (strcmp(plan->what, "init") == 0) {
        error = crydistill_init(&ear, &plan->config);
    } else if (strcmp(plan->what, "refused") == 0) {
        error = crydistill_init(&ear, NULL);
    } else if (strcmp(plan->what, "settle") == 0) {
        error = settle();
    } else {
        error = crydistill_reset(&ear);
    }
    printf("= %s\n", crydistill_error_text(error));
}

static void write_window(void *context, const struct crydistill_window *window)
{
    static const char *const EVENTS[] = {"-", "on", "off"};
    struct plan *plan = context;
    printf("%u %.9g %s\n", (unsigned)window->index, (double)window->score, EVENTS[window->event]);
    if (window->index == plan->last) {
        plan->last = UINT32_MAX;
        carry_out(plan);
    }
}

/* In one piece, so that there are samples behind every window. */
static enum crydistill_error hear(int first)
{
    static int16_t pcm[SAMPLES];
    struct crydistill_babble babble;
    crydistill_babble_init(&babble);
    for (int i = 0; i < SAMPLES; i++) {
        pcm[i] = crydistill_babble_next(&babble);
    }
    return crydistill_push(&ear, pcm + first, (size_t)(SAMPLES - first));
}

static enum crydistill_error do_all_steps(void)
{
    bool idle = false;
    enum crydistill_error error = CRYDISTILL_OK;
    while (error == CRYDISTILL_OK && !idle) {
        error = crydistill_step(&ear, NULL, &idle);
    }
    return error;
}

static enum crydistill_error play_stepped(const char *what, int number)
{
    static int8_t backlog[CRYDISTILL_BACKLOG_BYTES];
    static struct plan plan;
    plan.what = what;
    plan.last = (uint32_t)number;
    plan.config = good();
    plan.config.listener = write_window;
    plan.config.context = &plan;
    plan.config.backlog = backlog;
    enum crydistill_error error = crydistill_init(&ear, &plan.config);
    error = error == CRYDISTILL_OK ? hear(0) : error;
    return error == CRYDISTILL_OK ? do_all_steps() : error;
}

static enum crydistill_error play(const char *what, int number)
{
    static const char stepped[] = "stepped-";
    if (strncmp(what, stepped, sizeof stepped - 1) == 0) {
        return play_stepped(what + sizeof stepped - 1, number);
    }
    static struct plan plan;
    plan.what = what;
    plan.last = strcmp(what, "hear") == 0 ? UINT32_MAX : (uint32_t)number;
    plan.config = good();
    plan.config.listener = write_window;
    plan.config.context = &plan;
    enum crydistill_error error = crydistill_init(&ear, &plan.config);
    if (error == CRYDISTILL_OK && strcmp(what, "lost") == 0) {
        error = crydistill_gap(&ear, 10 * HOP);
    }
    return error == CRYDISTILL_OK ? hear(strcmp(what, "hear") == 0 ? number : 0) : error;
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        puts(crydistill_error_text(play(argv[1], atoi(argv[2]))));
        return 0;
    }
    for (size_t i = 0; argc == 2 && i < sizeof MISUSES / sizeof *MISUSES; i++) {
        if (strcmp(argv[1], MISUSES[i].name) == 0) {
            puts(crydistill_error_text(MISUSES[i].commit()));
            return 0;
        }
    }
    return 2;
}
