"""`python -m bot` is `tagecho`."""

from bot.cli import main

if __name__ == "__main__":
    main()
