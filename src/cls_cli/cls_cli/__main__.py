"""`python -m cls_cli`, which `./cls` runs."""

import sys

from .entry import main

if __name__ == '__main__':
    sys.exit(main())
