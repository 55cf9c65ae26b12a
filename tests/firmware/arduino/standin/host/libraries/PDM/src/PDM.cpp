#include "PDM.h"

#include <string.h>

PDMClass PDM;

static void (*receiver)(void);
static int16_t heard[256];
static size_t there, taken; // bytes

static bool hear()
{
    there = sizeof *heard * standinSound(heard, sizeof heard / sizeof *heard);
    taken = 0;
    receiver();
    return there > 0;
}

int PDMClass::begin(int channels, int sampleRate)
{
    standinHear = hear;
    return channels == 1 && sampleRate == 16000;
}

int PDMClass::available()
{
    return static_cast<int>(there - taken);
}

int PDMClass::read(void *buffer, size_t size)
{
    const size_t n = size < there - taken ? size : there - taken;
    memcpy(buffer, reinterpret_cast<char *>(heard) + taken, n);
    taken += n;
    return static_cast<int>(n);
}

void PDMClass::onReceive(void (*callback)(void))
{
    receiver = callback;
}

void PDMClass::setGain(int)
{
}
