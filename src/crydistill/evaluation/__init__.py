"""How well a model tells cries from everything else: exact metrics, intervals, reports."""
