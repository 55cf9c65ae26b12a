"""Detection metrics, confidence intervals, rates and result records."""
