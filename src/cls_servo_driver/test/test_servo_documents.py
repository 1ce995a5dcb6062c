"""What the README says about parameters is what the code has."""

from pathlib import Path
import re

from cls_servo_driver.settings import ServoDriverSettings

README = Path(__file__).resolve().parents[1] / 'README.md'


def test_the_table_of_parameters_is_that_of_the_code():
    rows = re.findall(r'^\| `([a-z_.]+)` \|([^|]*)\|', README.read_text(encoding='utf-8'), re.MULTILINE)
    told = {name: default.strip() for name, default in rows}
    real = {name: str(value) for name, value in ServoDriverSettings().to_flat().items()}
    assert told == {name: {'True': 'true', 'False': 'false'}.get(text, text) for name, text in real.items()}
