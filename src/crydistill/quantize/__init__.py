"""From a trained student to an INT8 `.tflite` that this program vouches for."""
