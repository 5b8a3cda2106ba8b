"""What the subcommands do; the command line itself (names, options, help) is jfsnb/cli.py."""
