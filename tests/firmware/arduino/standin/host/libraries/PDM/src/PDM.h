#ifndef PDM_H
#define PDM_H

#include <Arduino.h>

class PDMClass {
  public:
    int begin(int channels, int sampleRate);
    int available(); // bytes
    int read(void *buffer, size_t size);
    void onReceive(void (*callback)(void));
    void setGain(int gain);
};
extern PDMClass PDM;

#endif
