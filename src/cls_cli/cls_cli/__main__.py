"""`python -m cls_cli`, which `./cls` runs."""

import sys

from cls_common.node_process import exit_on_interrupt

if __name__ == '__main__':
    exit_on_interrupt()  # until the command line handles interrupts itself, since its imports take a while
    from .entry import main

    sys.exit(main())
