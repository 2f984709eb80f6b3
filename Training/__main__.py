"""``python -m Training``."""

from Training.cli import main

if __name__ == "__main__":
    main()
