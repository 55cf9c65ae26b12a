#include <stdlib.h>
#define ESP_ERROR_CHECK(call) do { if ((call) != 0) { abort(); } } while (0)
