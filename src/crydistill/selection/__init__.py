"""Select and sample the windows the student is trained on."""
