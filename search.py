"""Search for an architecture: ``python search.py --help``."""

from supernet.search import main

if __name__ == "__main__":
    main()
