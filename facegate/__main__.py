"""`python -m facegate`."""

from facegate.cli.main import main

main()
