"""Audio decoding, the log-mel front end, the window grid and data augmentation."""
