#include "crydistill_ring.h"

#include <stdbool.h>
#include <string.h>

/* Each number has one owner, who alone stores it; the other side loads it. Whoever sees a stored
 * number sees what was done before it was stored: samples before `written`, uses of them before
 * `read`. Loads and stores are all it takes, so that cores without atomic exchange (Cortex-M0+,
 * RV32IMC) will do. */
static uint32_t load(const uint32_t *number)
{
#if defined(__GNUC__)
    return __atomic_load_n(number, __ATOMIC_ACQUIRE);
#else
    /* Enough where both sides run on one core that writes in order. */
    return *(const volatile uint32_t *)number;
#endif
}

static void store(uint32_t *number, uint32_t value)
{
#if defined(__GNUC__)
    __atomic_store_n(number, value, __ATOMIC_RELEASE);
#else
    *(volatile uint32_t *)number = value;
#endif
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

enum crydistill_error crydistill_ring_init(struct crydistill_ring *ring, int16_t *samples,
                                           uint32_t size)
{
    if (ring == NULL) {
        return CRYDISTILL_ERROR_RING;
    }
    const bool good = samples != NULL && size >= 2;
    *ring = (struct crydistill_ring){.samples = good ? samples : NULL, .room = good ? size - 1 : 0};
    return good ? CRYDISTILL_OK : CRYDISTILL_ERROR_RING;
}

static uint32_t waiting(const struct crydistill_ring *ring, uint32_t written, uint32_t read)
{
    return written >= read ? written - read : ring->room + 1 - read + written;
}

static uint32_t moved(const struct crydistill_ring *ring, uint32_t position, uint32_t n)
{
    return position + n > ring->room ? position + n - ring->room - 1 : position + n;
}

void crydistill_ring_write(struct crydistill_ring *ring, const int16_t *pcm, uint32_t n)
{
    const uint32_t written = ring->written, lost = ring->lost;
    uint32_t fits = 0;
    /* No sample after a gap until the reader knows of it: it could not tell where the gap was. */
    if (load(&ring->told) == lost) {
        fits = smaller(n, ring->room - waiting(ring, written, load(&ring->read)));
    }
    if (fits > 0) {
        const uint32_t before_end = smaller(fits, ring->room + 1 - written);
        memcpy(ring->samples + written, pcm, before_end * sizeof *pcm);
        memcpy(ring->samples, pcm + before_end, (fits - before_end) * sizeof *pcm);
        store(&ring->written, moved(ring, written, fits));
    }
    if (fits < n) {
        store(&ring->lost, lost + (n - fits));
    }
}

void crydistill_ring_gap(struct crydistill_ring *ring, uint32_t n)
{
    store(&ring->lost, ring->lost + (n > 0 ? n : 1));
}

uint32_t crydistill_ring_lost(const struct crydistill_ring *ring)
{
    return load(&ring->lost);
}

const int16_t *crydistill_ring_peek(const struct crydistill_ring *ring, uint32_t *n)
{
    const uint32_t written = load(&ring->written), read = ring->read;
    *n = written >= read ? written - read : ring->room + 1 - read;
    return ring->samples + read;
}

void crydistill_ring_drop(struct crydistill_ring *ring, uint32_t n)
{
    store(&ring->read, moved(ring, ring->read, n));
}

uint32_t crydistill_ring_take_gap(struct crydistill_ring *ring)
{
    /* First what was lost: all samples in front of it are there then. */
    const uint32_t lost = load(&ring->lost), told = ring->told;
    if (lost == told || load(&ring->written) != ring->read) {
        return 0;
    }
    /* If more was lost meanwhile, the writer goes on losing, and that is the next gap. */
    store(&ring->told, lost);
    return lost - told;
}
