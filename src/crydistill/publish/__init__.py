"""Publishing: bundles, model cards, the hub, and the guard against private material."""
