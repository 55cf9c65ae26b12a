"""Entry point of `python -m crydistill`."""

from crydistill.cli import main

# Spawned worker processes import this module again.
if __name__ == "__main__":
    main()
