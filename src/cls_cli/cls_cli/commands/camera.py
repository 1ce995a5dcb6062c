"""`camera view`: the live image of a camera."""

import time

import click

from .. import options
from ..invocation import examples

_EXAMPLES = examples(
    './cls camera view                          # of the running graph',
    './cls camera view 0                        # a camera of this machine',
    './cls camera view jetbot:192.168.1.7       # a JetBot, not moved',
)


@click.group('camera', epilog=_EXAMPLES)
def command() -> None:
    """Show the live image of a camera."""


@command.command('view', epilog=_EXAMPLES)
@click.argument('source', default='')
@click.option(
    '--window/--no-window',
    default=None,
    show_default='a window if DISPLAY names a screen',
    help='Show the image in a window, or in the terminal.',
)
@click.option(
    '--max-rate',
    default=30.0,
    show_default=True,
    type=click.FloatRange(1.0, 120.0),
    metavar='HZ',
    help='Show at most this many images per second.',
)
@options.namespace
def view(source: str, window: bool | None, max_rate: float, namespace: str) -> int:
    """Show the live image of the running graph, or of SOURCE.

    SOURCE is an index, a device path, a video file, a folder of images, or jetbot[:HOST[:PORT]]. q or Ctrl-C ends it.
    """
    from cls_bringup.interrupts import Interrupts

    from ..live_image import displays, sources

    in_window = displays.has_screen() if window is None else window
    found = sources.camera(source, max_rate) if source else sources.graph(namespace)
    # The display first, since it fails at once; signals last, so that Ctrl-C ends what waits before.
    with (
        displays.window() if in_window else displays.terminal() as display,
        found as newest,
        Interrupts() as interrupts,
    ):
        begun = time.monotonic()
        name = source or 'the running graph'
        shown = displays.run(display, newest, name, 1.0 / max_rate, lambda: interrupts.count > 0)
        seconds = time.monotonic() - begun
    print(f'{shown} images in {seconds:.1f} s: {shown / max(seconds, 1e-6):.1f} a second')
    return 0
