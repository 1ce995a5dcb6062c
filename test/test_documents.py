"""Texts of the repository: links, words, references to the outside, and the files that every package needs."""

from pathlib import Path
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
# As git sees it: also what is new, but nothing that it ignores.
FILES = [
    ROOT / name
    for name in subprocess.run(
        ['git', '-C', str(ROOT), 'ls-files', '--cached', '--others', '--exclude-standard', '-z'],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split('\0')
    if name and (ROOT / name).is_file()
]
DOCUMENTS = [path for path in FILES if path.suffix == '.md']
PACKAGES = sorted(path.parent for path in ROOT.glob('src/*/package.xml'))

# Written in pieces, so that this file does not name them itself.
_MACHINE_PATHS = ['/' + 'work/', '/tmp/' + 'boot', '/' + 'root/']
_INDEX_HOSTS = ['files.' + 'pythonhosted', 'pypi.' + 'org/simple', 'pypi.' + 'python.org', 'arti' + 'factory']
FORBIDDEN = re.compile('|'.join(re.escape(text) for text in _MACHINE_PATHS + _INDEX_HOSTS))
# Rows and hazards of lists, and names of documents, that a reader of the repository does not have.
REFERENCES = re.compile(
    r'\b[Rr]ows? \d{3}-|\b00\d-\d{3}\b|\bH\d{1,2}\b|\b[Ii]ssue (\d|[A-J]\b)|learning probe|design, section'
    r'|\b(reference|names|style|design)\.md'
)
# Words of fiction in place of terms of the field; see the glossary.
WORDS = re.compile(r'\b(re)?lived\b|\b(whoever|nobody|somebody|anew|for ever)\b', re.IGNORECASE)
# The table of rows.
ROWS = ROOT / 'docs' / 'features.md'


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def slug(heading: str) -> str:
    text = re.sub(r'[`*]', '', heading.strip()).lower()
    return re.sub(r'[^\w\- ]', '', text).replace(' ', '-')


def anchors(path: Path) -> set[str]:
    return {slug(match) for match in re.findall(r'^#+\s+(.*)$', path.read_text(encoding='utf-8'), re.MULTILINE)}


@pytest.mark.parametrize('path', DOCUMENTS, ids=relative)
def test_relative_links_exist(path: Path) -> None:
    text = re.sub(r'```.*?```', '', path.read_text(encoding='utf-8'), flags=re.DOTALL)
    targets = re.findall(r'\]\(([^)\s]+)[^)]*\)', text) + re.findall(r'(?:src|href|srcset)="([^"]+)"', text)
    broken = []
    for target in targets:
        if re.match(r'[a-z]+:', target):
            continue
        name, _, anchor = target.partition('#')
        place = (path.parent / name).resolve() if name else path
        if not place.exists() or (anchor and place.suffix == '.md' and anchor not in anchors(place)):
            broken.append(target)
    assert not broken


def lines_with(pattern: re.Pattern[str], files: list[Path]) -> str:
    """Returns the lines of text files that match, each with its place."""
    found = []
    for path in files:
        try:
            text = path.read_text(encoding='utf-8')
        except UnicodeDecodeError:
            continue
        found += [
            f'{relative(path)}:{number}: {line.strip()[:100]}'
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return '\n'.join(found)


def test_no_file_names_one_machine_or_an_index() -> None:
    assert lines_with(FORBIDDEN, FILES) == ''


def test_no_file_refers_to_documents_outside_the_repository() -> None:
    files = [path for path in FILES if path not in (ROWS, Path(__file__).resolve())]
    assert lines_with(REFERENCES, files) == ''


def test_code_of_packages_uses_plain_words() -> None:
    code = [path for path in FILES if path.suffix != '.md' and any(package in path.parents for package in PACKAGES)]
    assert lines_with(WORDS, [path for path in code if relative(path).split('/')[2] != 'test']) == ''


@pytest.mark.parametrize(
    ('text', 'is_found'),
    [
        ('of rows 001-066 to 001-070', True),
        ('never evaluated (H13)', True),
        ('as issue D asks', True),
        ('(learning probe, section 6)', True),
        ('see design.md', True),
        ('row 3 of 10, and an issue with rows', False),
        ('an H100 with 1000-2000 MB', False),
        ('the reference system', False),
        ('2026-001-12', False),
    ],
)
def test_references_differ_from_ordinary_text(text: str, is_found: bool) -> None:
    assert bool(REFERENCES.search(text)) is is_found


@pytest.mark.parametrize('package', PACKAGES, ids=lambda path: path.name)
def test_every_package_has_a_name_a_licence_and_a_readme(package: Path) -> None:
    manifest = ElementTree.parse(package / 'package.xml').getroot()
    assert manifest.get('format') == '3'
    assert manifest.findtext('name') == package.name
    assert manifest.findtext('license') == 'Apache-2.0'  # its SPDX name
    assert manifest.findtext('description')
    readme = package / 'README.md'
    assert readme.is_file()
    assert len(readme.read_text(encoding='utf-8').splitlines()) >= 5


def test_one_version_and_one_description_of_every_package() -> None:
    versions = {}
    for package in PACKAGES:
        manifest = ElementTree.parse(package / 'package.xml').getroot()
        versions[package.name] = manifest.findtext('version')
        if (package / 'setup.py').exists():
            setup = (package / 'setup.py').read_text(encoding='utf-8')
            assert f"version='{versions[package.name]}'" in setup
            assert manifest.findtext('description') in setup, package.name
    assert len(set(versions.values())) == 1, versions


def test_imported_packages_of_this_repository_are_in_the_manifest() -> None:
    missing = []
    for package in PACKAGES:
        manifest = ElementTree.parse(package / 'package.xml').getroot()
        declared = {element.text for element in manifest if element.tag.endswith('depend')}
        for path in (package / package.name).rglob('*.py'):
            text = path.read_text(encoding='utf-8')
            used = set(re.findall(r'^\s*(?:from|import) (cls_[a-z_]+)', text, re.MULTILINE)) - {package.name}
            missing += [f'{package.name} needs {name} ({path.name})' for name in sorted(used - declared)]
    assert not missing


def test_the_licence_is_complete() -> None:
    text = (ROOT / 'LICENSE').read_text(encoding='utf-8')
    assert 'Apache License' in text
    assert 'END OF TERMS AND CONDITIONS' in text
