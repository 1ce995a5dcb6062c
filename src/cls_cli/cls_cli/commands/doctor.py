"""`doctor`: what is missing or wrong here."""

import click

_STYLES = {'ok': 'green', 'note': 'yellow', 'wrong': 'bold red'}


@click.command('doctor')
def command() -> int:
    """Look at this machine and say what to do. Exit status 1 when something needed is wrong."""
    from rich.console import Console
    from rich.table import Table

    from ..doctor import CHECKS

    findings = [finding for check in CHECKS for finding in check()]
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        level = finding.level.value
        table.add_row(f'[{_STYLES[level]}]{level}[/]', finding.name, finding.found)
        if finding.do:
            table.add_row('', '', f'[dim]→ {finding.do}[/]')
    Console().print(table)
    wrong = [finding.name for finding in findings if finding.level.value == 'wrong']
    print(f'wrong: {", ".join(wrong)}' if wrong else 'everything needed is here')
    return 1 if wrong else 0
