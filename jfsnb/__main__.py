"""The `jfsnb` command; `python -m jfsnb` is the same."""

import sys


def main() -> None:
    """Ctrl-C may come while the command line is still being imported."""
    try:
        from jfsnb.cli import main as command

        command()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
