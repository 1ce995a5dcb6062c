"""The command line as a whole: loads a command only when it is used, turns errors into one line."""

from collections.abc import Callable, Sequence
import importlib
import signal
import sys

import click

from cls_common.errors import UserError
from cls_common.runtime_folder import provide_log_folder

# Name -> (module in commands/, what it does). The texts stand here so that `--help` imports no command.
COMMANDS = {
    'up': ('up', 'Start a robot and its brain, and watch them.'),
    'run-visual-learning': ('run_visual_learning', 'The pan-tilt robot with its camera, by keys or by itself.'),
    'status': ('status', 'How the running graph fares.'),
    'mode': ('mode', 'Choose who decides on actions: manual, random, curiosity or follow.'),
    'save': ('save', 'Write the next generation of the model.'),
    'sleep': ('sleep', 'Send the learner to sleep and watch; Ctrl-C wakes it again.'),
    'stop': ('stop', 'Emergency stop: no motion and no torque until `rearm`.'),
    'rearm': ('rearm', 'Allow motion again after an emergency stop.'),
    'teleop': ('teleop', 'Move the robot by keys, with or without a learner.'),
    'play': ('play', 'Replay recorded sessions into a brain, in the place of a robot.'),
    'record': ('record', 'Record the running graph as a session.'),
    'run': ('run', 'Act on a robot without learning.'),
    'train': ('train', 'Learn in simulation in one process, without ROS.'),
    'bench': ('bench', 'Measure what is learned, and against what.'),
    'sessions': ('sessions', 'What was recorded: list, info, repair, export.'),
    'eyes': ('eyes', 'Train eyes on recorded sessions.'),
    'replay': ('replay', 'Learn from recorded sessions in one process, without ROS.'),
    'models': ('models', 'List the saved models.'),
    'config': ('config', 'Show with what settings a model was made.'),
    'hash': ('hash', 'Print the hash of a model\'s weights.'),
    'faults': ('faults', 'Kill the learners at random moments and check that nothing is lost.'),
    'doctor': ('doctor', 'What this machine lacks, and what to do about it.'),
}  # fmt: skip


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f'cls_cli.commands.{COMMANDS[cmd_name][0]}')
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section('Commands'):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={'help_option_names': ['-h', '--help'], 'max_content_width': 110})
def cli() -> None:
    """A robot that learns by itself how what it sees changes when it acts, and keeps what it learned.

    `./cls COMMAND --help` explains a command; `./cls exec COMMAND...` runs any program in the environment.
    `./cls add LAYER` adds what single commands need before they ask for it: export, bench, examples or dev.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""

    def work() -> int:
        provide_log_folder()
        result = cli.main(args=args, prog_name='cls', standalone_mode=False)
        return result if isinstance(result, int) else 0

    return guarded(work)


def guarded(work: Callable[[], int]) -> int:
    """Runs `work`; every mistake of the user's becomes one line.

    Returns:
        exit status: what `work` returns; 2 for a UserError or a wrong option, 130 when interrupted.
    """
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return work()
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
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
