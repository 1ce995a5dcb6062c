"""Makes the notebooks: each `NAME.ipynb` here from the script `NAME.py` beside it, whose cells begin with `# %%`.

./cls exec python notebooks/convert.py            # writes them
./cls exec python notebooks/convert.py --check    # status 1 if one differs from its script
"""

from collections.abc import Iterator
from dataclasses import dataclass
import json
from pathlib import Path
import re
import sys

HERE = Path(__file__).parent
_MARK = re.compile(r'^# %%(?P<markdown> \[markdown\])?(?: tags=(?P<tags>\[.*\]))?$')


@dataclass(frozen=True)
class Cell:
    """One cell: its kind, code or markdown; its text; its tags."""

    kind: str
    text: str
    tags: tuple[str, ...] = ()


def cells(script: str) -> Iterator[Cell]:
    """Yields the cells of a script; what stands before the first mark is left out."""
    found: re.Match[str] | None = None
    lines: list[str] = []
    for line in [*script.splitlines(), '# %%']:
        mark = _MARK.match(line)
        if mark is None:
            lines.append(line)
            continue
        if found is not None:
            yield _cell(found, lines)
        found, lines = mark, []


def _cell(mark: re.Match[str], lines: list[str]) -> Cell:
    is_markdown = mark['markdown'] is not None
    text = '\n'.join(line.removeprefix('#').removeprefix(' ') if is_markdown else line for line in lines)
    return Cell('markdown' if is_markdown else 'code', text.strip('\n'), tuple(json.loads(mark['tags'] or '[]')))


def notebook(script: str) -> str:
    """Returns the notebook of a script, without outputs, as JSON (nbformat 4.4)."""
    made: list[dict[str, object]] = []
    for cell in cells(script):
        content = {
            'cell_type': cell.kind, 'metadata': {'tags': list(cell.tags)} if cell.tags else {},
            'source': cell.text.splitlines(keepends=True),
        }  # fmt: skip
        made.append(content | ({'execution_count': None, 'outputs': []} if cell.kind == 'code' else {}))
    kernel = {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'}
    about = {'kernelspec': kernel, 'language_info': {'name': 'python'}}
    return json.dumps({'cells': made, 'metadata': about, 'nbformat': 4, 'nbformat_minor': 4}, indent=1) + '\n'


def main(arguments: list[str]) -> int:
    """Writes or checks all notebooks; returns the exit status."""
    differs = 0
    for script in sorted(HERE.glob('*.py')):
        if script.name == Path(__file__).name:
            continue
        target, text = script.with_suffix('.ipynb'), notebook(script.read_text(encoding='utf-8'))
        if '--check' not in arguments:
            target.write_text(text, encoding='utf-8')
        elif not target.exists() or target.read_text(encoding='utf-8') != text:
            print(f'{target} differs from {script}: run `./cls exec python notebooks/convert.py`')
            differs = 1
    return differs


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
