"""`python -m crydistill` is `crydistill`."""

from crydistill.cli import main

main()
