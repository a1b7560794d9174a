"""Train an architecture: ``python train.py --help``."""

from supernet.train import main

if __name__ == "__main__":
    main()
