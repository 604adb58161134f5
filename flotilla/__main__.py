"""`python -m flotilla`."""

from flotilla.cli import main

main()
