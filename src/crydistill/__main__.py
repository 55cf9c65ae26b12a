"""`python -m crydistill` is `crydistill`."""

from crydistill.cli import main

# Processes that making sounds starts read this file again.
if __name__ == "__main__":
    main()
