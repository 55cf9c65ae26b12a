"""The student model: architectures, manifest, and inference with a finished `.tflite`."""
