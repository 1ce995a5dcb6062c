"""Old spellings of commands and options: they keep working, with one line that names the new spelling."""

from collections.abc import Sequence

# Old command -> new command.
COMMANDS = {
    ('config', 'show'): ('models', 'show'),
    ('eyes',): ('encoder', 'train'),
    ('hash',): ('models', 'hash'),
    ('models',): ('models', 'list'),
}
# New command -> old option -> new option, which may have a value; '': the value became the argument.
OPTIONS = {
    ('bench', 'continual'): {'--json': '--report', '--plot': '--plots-dir'},
    ('bench', 'control'): {
        '--agents': '--agent', '--envs': '--env', '--json': '--report', '--plot': '--plots-dir',
    },
    ('bench', 'curiosity'): {
        '--cache': '--cache-dir', '--json': '--report', '--plot': '--plots-dir', '--steps': '--length',
    },
    ('bench', 'learning'): {
        '--cache': '--cache-dir', '--json': '--report', '--life': '--protocol', '--plot': '--plots-dir',
        '--steps': '--length',
    },
    ('encoder', 'train'): {'--out': '--output', '--steps': '--updates', '--views': '--image-pairs'},
    ('evaluate',): {
        '--json': '--report', '--model_path': '', '--num_episodes': '--episodes',
        '--visualize': '--render=evaluation.mp4',
    },
    ('faults',): {'--folder': '--keep-dir', '--json': '--report', '--kinds': '--victim'},
    ('run',): {'--rate': '--max-rate'},
}  # fmt: skip


def modernize(arguments: Sequence[str]) -> tuple[list[str], str]:
    """Returns arguments in the new spelling, and a note that names both spellings; '' if nothing was old."""
    arguments = list(arguments)
    old = next((name for name in COMMANDS if _is_old(name, arguments)), ())
    command = COMMANDS[old] if old else next((name for name in OPTIONS if tuple(arguments[: len(name)]) == name), ())
    rest = arguments[len(old or command) :]
    was, now = ['./cls', *(old or command)], ['./cls', *command]
    options = OPTIONS.get(command, {})
    end = rest.index('--') if '--' in rest else len(rest)
    words: list[str] = []
    for word in rest[:end]:
        name, equals, value = word.partition('=')
        if name not in options:
            words.append(word)
            continue
        new = options[name]
        words += [new + equals + value] if new else [value] if equals else []
        was.append(name)
        now += [new] if new else []
    note = '' if was == now else f'note: `{" ".join(was)}` is now `{" ".join(now)}`'
    return [*command, *words, *rest[end:]], note


def _is_old(name: tuple[str, ...], arguments: Sequence[str]) -> bool:
    if tuple(arguments[: len(name)]) != name:
        return False
    # `models` is a group today: alone, or with options only, it listed the models.
    following = [*arguments[1:2]]
    return name != ('models',) or not following or following[0].startswith('--models-dir')
