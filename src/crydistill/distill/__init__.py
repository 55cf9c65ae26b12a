"""Teaching the student: losses and the training loop, in Keras 3."""
