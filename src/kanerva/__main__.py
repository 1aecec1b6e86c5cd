"""Run the command line as ``python -m kanerva``."""

from kanerva.cli import main

if __name__ == "__main__":
    main()
