"""What a student costs on a microcontroller: memory and arithmetic."""
