"""`shell`: makes `cls` a command of a shell, with completion."""

import os
from pathlib import Path
import shlex

import click
from click.shell_completion import get_completion_class

from cls_common.errors import UserError

from ..invocation import examples
from .environment import root

COMPLETE = '_CLS_COMPLETE'
_PATH = {
    'bash': 'case ":$PATH:" in *:{root}:*) ;; *) PATH=$PATH:{root} ;; esac',
    'zsh': 'case ":$PATH:" in *:{root}:*) ;; *) PATH=$PATH:{root} ;; esac',
    'fish': 'fish_add_path --path --append {root}',
}
_EXAMPLES = examples(
    'eval "$(./cls shell)"                      # bash and zsh: this shell',
    'echo "eval \\"\\$($PWD/cls shell)\\"" >>~/.bashrc   # bash: every new shell',
    './cls shell fish | source                  # fish',
)


@click.command('shell', epilog=_EXAMPLES)
@click.argument('shell', default='', metavar='[bash|zsh|fish]')
def command(shell: str) -> int:
    """Print the set-up of a shell for `cls`, to be evaluated there.

    Then `cls` can be typed in every folder, and the Tab key completes its commands, options and names of models. The
    shell is taken from the variable SHELL if none is named.
    """
    from ..entry import cli

    name = shell or Path(os.environ.get('SHELL', 'bash')).name
    completion = get_completion_class(name) if name in _PATH else None
    if completion is None:
        raise UserError(f'shell {name!r}', expected='bash, zsh or fish')
    print(_PATH[name].format(root=shlex.quote(str(root()))))
    print(completion(cli, {}, 'cls', COMPLETE).source())
    return 0
