"""The stages of an experiment: score, select, train, quantize, evaluate.

Each stage reads files, writes files below the run directory and remembers under which key (config
section, inputs, key of the stage before) it did so; asked again with the same key it does nothing.
"""
