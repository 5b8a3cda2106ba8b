"""The `jfsnb` command; `python -m jfsnb` is the same."""

from jfsnb import terminal


def main() -> None:
    """Run the command line behind the door to the terminal."""
    terminal.run(_command)


def _command() -> None:
    from jfsnb.cli import main as command  # Ctrl-C may come while it is still being imported

    command(standalone_mode=True)


if __name__ == "__main__":
    main()
