"""Parse, validate, run and cost `.tflite` files."""
