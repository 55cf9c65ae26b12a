#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

// Types of their own, as in Arduino's newer cores: no number or bool in their place.
enum PinStatus { LOW, HIGH };
enum PinMode { INPUT, OUTPUT };
#define LED_BUILTIN 13

void pinMode(uint8_t pin, PinMode mode);
void digitalWrite(uint8_t pin, PinStatus value);
void delay(unsigned long milliseconds);
unsigned long millis();

class SerialPort {
  public:
    void begin(unsigned long rate);
    void print(const char *text);
    void print(unsigned long number);
    void println(const char *text);
};
extern SerialPort Serial;

// FreeRTOS, as an ESP32's core has it.
extern "C" int xTaskCreate(void (*task)(void *), const char *name, uint32_t stack, void *parameters,
                           unsigned priority, void **handle);

void setup();
void loop();

// Of the stand-in: the next samples of the file $SOUND, fewer at its end.
size_t standinSound(int16_t *pcm, size_t most);
// What lets the sketch hear a piece of it, false at the end; set by a microphone that begins.
extern bool (*standinHear)();

#endif
