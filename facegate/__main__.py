"""`facegate` and `python -m facegate`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly, also while it is still being loaded."""
    try:
        from facegate.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
