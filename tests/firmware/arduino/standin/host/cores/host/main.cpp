#include <stdio.h>
#include <stdlib.h>

#include <chrono>
#include <thread>

#include "Arduino.h"

SerialPort Serial;
bool (*standinHear)();

void pinMode(uint8_t, PinMode)
{
}

void digitalWrite(uint8_t pin, PinStatus value)
{
    printf("pin %d is %s\n", pin, value == HIGH ? "high" : "low");
}

void delay(unsigned long milliseconds)
{
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds < 10 ? 0 : 1));
}

unsigned long millis()
{
    using namespace std::chrono;
    const auto since = steady_clock::now().time_since_epoch();
    return static_cast<unsigned long>(duration_cast<milliseconds>(since).count());
}

void SerialPort::begin(unsigned long)
{
}

void SerialPort::print(const char *text)
{
    fputs(text, stdout);
}

void SerialPort::print(unsigned long number)
{
    printf("%lu", number);
}

void SerialPort::println(const char *text)
{
    puts(text);
}

extern "C" int xTaskCreate(void (*task)(void *), const char *, uint32_t, void *parameters, unsigned,
                           void **)
{
    std::thread(task, parameters).detach();
    return 1;
}

size_t standinSound(int16_t *pcm, size_t most)
{
    static FILE *sound = fopen(getenv("SOUND"), "rb");
    return fread(pcm, sizeof *pcm, most, sound);
}

int main()
{
    setup();
    while (standinHear != nullptr && standinHear()) {
        // Once for each frame that it completes, and for what is left.
        for (int i = 0; i < 4; i++) {
            loop();
        }
    }
    loop();
    fflush(stdout);
    _Exit(0); // tasks do not end by themselves
}
