"""Knowledge distillation: targets, losses and the training loop, in Keras 3."""
