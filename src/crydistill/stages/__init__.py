"""The stages of an experiment: score, select, train, quantize, evaluate, night.

Each stage reads files, writes files to the run directory and records its key, a hash of its config
section, its inputs and the previous stage's key; run again with the same key, it does nothing.
"""
