"""`doctor`: checks this machine."""

import click

from ..invocation import as_called, examples

_STYLES = {'ok': 'green', 'note': 'yellow', 'wrong': 'bold red'}


@click.command('doctor', epilog=examples('./cls doctor'))
def command() -> int:
    """Check this machine, and show what is missing and what to do.

    The exit status is 1 if something necessary is missing.
    """
    from rich.console import Console
    from rich.table import Table

    from ..doctor import CHECKS

    findings = [finding for check in CHECKS for finding in check()]
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        severity = finding.severity.value
        table.add_row(f'[{_STYLES[severity]}]{severity}[/]', finding.name, finding.found)
        if finding.do:
            table.add_row('', '', f'[dim]→ {as_called(finding.do)}[/]')
    Console().print(table)
    wrong = [finding.name for finding in findings if finding.severity.value == 'wrong']
    print(f'wrong: {", ".join(wrong)}' if wrong else 'everything necessary is here')
    return 1 if wrong else 0
