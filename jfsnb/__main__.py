"""`python -m jfsnb` is the same as the `jfsnb` command."""

from jfsnb.cli import main

main()
