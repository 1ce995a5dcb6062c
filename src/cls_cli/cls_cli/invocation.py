"""The name by which this program is called, in help and hints."""

import os
import re

# Set by the script `cls`: `cls` if PATH has it, else the path that was typed.
COMMAND = os.environ.get('CLS_COMMAND', './cls')


def as_called(text: str) -> str:
    """Returns a text in which every `./cls` is replaced by the name that works in the user's shell."""
    return re.sub(r'(?<![\w/.])\./cls(?![\w/-])', lambda _: COMMAND, text)


def examples(*lines: str) -> str:
    """Returns command lines, which begin with `./cls`, as the last part of a help text; they are never wrapped."""
    return as_called('\n'.join(['\b', 'Examples:', *(f'  {line}' for line in lines)]))
