"""The student: its networks by name, its manifest, and running a finished `.tflite`."""
