"""The tables in docs/graph.md equal cls_common.comms: names, types, profiles, publishers and servers."""

from pathlib import Path
import re

from cls_common import comms
from cls_common.nodes.metric_topics import metric_topic

DOCUMENT = Path(__file__).resolve().parents[1] / 'docs' / 'graph.md'
PROFILES = {value: name for name, value in vars(comms).items() if isinstance(value, comms.Profile)}


def tables() -> dict[str, list[list[str]]]:
    """Returns the tables by the heading they stand under, each a list of rows of cells, markup removed."""
    found: dict[str, list[list[str]]] = {}
    heading = ''
    for line in DOCUMENT.read_text(encoding='utf-8').splitlines():
        if line.startswith('#'):
            heading = line.lstrip('# ')
        elif line.startswith('|') and not re.fullmatch(r'[|\s:-]+', line):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip('|').split('|')])
    return {heading: rows[1:] for heading, rows in found.items()}  # without the row of column names


def code(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r'`([^`]+)`', cell))


def test_topics() -> None:
    documented = {
        code(name)[0]: (code(kind)[0], code(profile)[0], set(code(publishers)))
        for name, kind, profile, publishers, _ in tables()['Topics']
    }
    # A whole family shares one row: its names are made by the robots, or by the brains.
    family = documented.pop(f'{comms.OBSERVATION_PREFIX}<modality>')
    assert family[:2] == ('cls_interfaces/msg/Observation', 'STATE')
    plots = [metric_topic(node, '<name>') for node in ('fast_learner', 'slow_learner')]
    assert documented.pop(f'<learner>{comms.METRICS_INFIX}<name>') == (
        plots[0].type, name_of(plots[0].profile), {name for plot in plots for name in plot.publishers},
    )  # fmt: skip
    assert documented == {t.name: (t.type, name_of(t.profile), set(t.publishers)) for t in comms.TOPICS}


def test_services_and_actions() -> None:
    for heading, entries in (('Services', comms.SERVICES), ('Actions', (comms.SLEEP,))):
        rows = tables()[heading]
        documented = {code(name)[0]: (code(kind)[0], set(code(servers))) for name, kind, servers, _ in rows}
        assert documented == {s.name: (s.type, set(s.servers)) for s in entries}


def test_profiles() -> None:
    documented = {
        code(name)[0]: (reliability, durability, int(depth), float(lifespan.removesuffix(' s') or 0))
        for name, reliability, durability, depth, lifespan, _ in tables()['Profiles']
    }
    assert documented == {
        name: (
            'reliable' if profile.reliable else 'best effort',
            'transient local' if profile.latched else 'volatile',
            profile.depth,
            profile.lifespan,
        )
        for name, profile in vars(comms).items()
        if isinstance(profile, comms.Profile)
    }


def test_every_row_has_a_description() -> None:
    for rows in tables().values():
        assert all(len(row[-1]) > 8 for row in rows)


def name_of(profile: comms.Profile) -> str:
    # Profiles with equal values (STATE and DEFAULT) are distinguished by identity.
    (name,) = [name for name, value in vars(comms).items() if value is profile]
    return name
