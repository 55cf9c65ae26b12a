"""Audio in: decoding, the log-mel front end, windows, synthetic nursery audio."""
