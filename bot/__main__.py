"""`tagecho`, and `python -m bot`."""

from __future__ import annotations

import sys

from bot.core.errors import ConfigError
from bot.core.packages import refuse_foreign_packages


def main() -> None:
    """Make sure that our packages are ours before the command line imports them."""
    try:
        refuse_foreign_packages()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    from bot.cli.main import main as run  # noqa: PLC0415 - only now

    run()


if __name__ == "__main__":
    main()
