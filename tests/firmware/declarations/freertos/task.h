#pragma once
#include "freertos/FreeRTOS.h"
typedef struct task *TaskHandle_t;
typedef void (*TaskFunction_t)(void *);
BaseType_t xTaskCreate(TaskFunction_t run, const char *name, uint32_t stack, void *argument,
                       UBaseType_t priority, TaskHandle_t *created);
BaseType_t xTaskNotifyGive(TaskHandle_t task);
uint32_t ulTaskNotifyTake(BaseType_t clear, TickType_t ticks);
void vTaskDelay(TickType_t ticks);
