"""The command line as a whole: loads a command only when it is used, and reports errors in one line."""

from collections.abc import Callable, Sequence
import importlib
import signal
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from cls_common.errors import UserError
from cls_common.runtime_folder import provide_log_folder

from .invocation import as_called, COMMAND, examples
from .old_spellings import modernize

# Section -> command -> (place in commands/, first line of its help). The texts stand here, so that `--help` imports no
# command; a test compares them with the commands.
SECTIONS = {
    'Run and learn': {
        'up': ('up:command', 'Start a robot and its brain, and watch them.'),
        'run-visual-learning': ('run_visual_learning:command', 'Let the pan-tilt robot learn, and steer it by keys.'),
        'run': ('run:command', 'Run a policy on a robot, without learning.'),
        'play': ('play:command', 'Replay recorded sessions into a brain.'),
        'train': ('train:command', 'Learn in simulation in one process.'),
        'continual': ('continual:command', 'Learn some tasks in turn.'),
        'replay': ('replay:command', 'Learn from recorded sessions in one process.'),
    },
    'Talk to the running graph': {
        'status': ('status:command', 'Show the state of the running graph.'),
        'mode': ('calls:mode', 'Choose the source of the actions of the running graph.'),
        'sleep': ('sleep:command', 'Put the learner to sleep, and show the progress.'),
        'save': ('calls:save', 'Save the model of the running graph now.'),
        'teleop': ('teleop:command', 'Move the robot by keys.'),
        'camera': ('camera:command', 'Show the live image of a camera.'),
        'stop': ('calls:stop', 'Stop the robot at once: no motion and no torque until `rearm`.'),
        'rearm': ('calls:rearm', 'Allow motion again after an emergency stop.'),
    },
    'Data': {
        'record': ('record:command', 'Record the running graph as a session, until Ctrl-C.'),
        'sessions': ('sessions:command', 'List, examine, repair, export or delete recorded sessions.'),
    },
    'Models': {
        'models': ('models:command', 'List, show, measure, export or delete saved models.'),
        'encoder': ('encoder:command', 'Train encoders of images.'),
    },
    'Measure': {
        'evaluate': ('evaluate:command', 'Run greedy episodes of a saved model, and print the reward.'),
        'report': ('report:command', 'Write a report about MODEL or SESSION as one HTML file.'),
        'bench': (
            'bench:command',
            'Measure learning, curiosity, control, forgetting, pictures and gradients.',
        ),
        'faults': ('faults:command', 'Kill the learners at random moments, and check that nothing is lost.'),
    },
    'This machine': {
        'doctor': ('doctor:command', 'Check this machine, and show what is missing and what to do.'),
        'shell': ('shell:command', 'Print the set-up of a shell for `cls`, to be evaluated there.'),
        'exec': ('environment:exec_command', 'Run any program in the environment of the workspace.'),
        'add': ('environment:add_command', 'Install packages for some commands: export, bench, examples or dev.'),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
_EXAMPLES = examples(
    './cls up                                   # a simulated robot learns',
    './cls up --help                            # options and more examples',
    'eval "$(./cls shell)"                      # then `cls` works everywhere',
)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(':')
        command: click.Command = getattr(importlib.import_module(f'cls_cli.commands.{module}'), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if incomplete.startswith('-'):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]


@click.group(
    cls=LazyGroup, context_settings={'help_option_names': ['-h', '--help'], 'max_content_width': 100}, epilog=_EXAMPLES
)
@click.version_option(package_name='cls_cli', message='cls %(version)s', help='Show the version and exit.')
def cli() -> None:
    """A robot learns by itself how what it sees changes when it acts, and keeps what it learned."""


def main(args: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""

    def work() -> int:
        provide_log_folder()
        words, note = modernize(sys.argv[1:] if args is None else args)
        if note:
            print(as_called(note), file=sys.stderr)
        options: dict[str, Any] = {'prog_name': COMMAND, 'complete_var': '_CLS_COMPLETE', 'standalone_mode': False}
        result = cli.main(args=words, **options)
        return result if isinstance(result, int) else 0

    return guarded(work)


def guarded(work: Callable[[], int]) -> int:
    """Runs `work` and prints every mistake of the user as one line.

    Returns:
        exit status: that of `work`; 2 for a UserError or a wrong option, 130 after an interrupt.
    """
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return work()
    except UserError as error:
        print(as_called(f'error: {error}'), file=sys.stderr)
        return 2
    except click.ClickException as error:
        print(f'error: {_one_line(error)}', file=sys.stderr)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130


def _one_line(error: click.ClickException) -> str:
    text = ' '.join(error.format_message().split())
    context = getattr(error, 'ctx', None)
    return f'{text} Try `{context.command_path} --help`.' if context else text
