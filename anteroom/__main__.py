"""`python -m anteroom`: the command line where no script is installed."""

from anteroom.cli import main

if __name__ == "__main__":
    main()
