"""Quantize a trained student to an INT8 `.tflite`: post-training (PTQ) and in training (QAT)."""
