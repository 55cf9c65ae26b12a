"""What leaves the house, and the guard that sees to it that nothing private does."""
