"""YAMNet, other `.tflite` teachers, and the store of what they said."""
