"""Teachers (YAMNet, any `.tflite`) and the store of their scores."""
