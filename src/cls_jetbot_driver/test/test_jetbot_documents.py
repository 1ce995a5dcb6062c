"""The README documents all parameters with their defaults."""

from pathlib import Path
import re

from cls_jetbot_driver.settings import JetBotDriverSettings

README = Path(__file__).resolve().parents[1] / 'README.md'


def test_the_table_of_parameters_matches_the_code():
    rows = re.findall(r'^\| `([a-z_.]+)` \|([^|]*)\|', README.read_text(encoding='utf-8'), re.MULTILINE)
    documented = {name: default.strip() for name, default in rows}
    real = {name: str(value) for name, value in JetBotDriverSettings().to_flat().items()}
    assert documented == {name: {'True': 'true', 'False': 'false'}.get(text, text) for name, text in real.items()}
