"""``python -m gettone`` is ``gettone``."""

from gettone.cli import main

if __name__ == "__main__":
    main()
