"""`python -m spokewire` is the `spokewire` command."""

from spokewire.cli.main import main

main()
