"""Findings of doctor, in temporary folders and on this machine."""

import fcntl

from cls_cli.doctor.devices import cameras
from cls_cli.doctor.findings import Severity
from cls_cli.doctor.software import interpreter, packages, ros
from cls_cli.doctor.storage import disk, image_weights, leftovers, log_folder, shared_memory


def test_nothing_necessary_is_missing_where_the_tests_run():
    for finding in [*interpreter(), *ros(), *packages(), *disk()]:
        assert finding.severity is not Severity.WRONG, finding


def test_segments_of_dead_processes_are_distinguished_from_used_ones(tmp_path):
    for name in ('fastrtps_dead', 'fastrtps_used'):
        (tmp_path / name).write_bytes(bytes(1000))
        (tmp_path / f'{name}_el').touch()
    with open(tmp_path / 'fastrtps_used_el', 'r+') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert leftovers(tmp_path) == [tmp_path / 'fastrtps_dead']
        note = shared_memory(tmp_path)[-1]
    assert note.severity is Severity.NOTE and note.found.startswith('1 segments') and 'shm clean' in note.do


def test_another_ros_distribution_is_wrong(monkeypatch):
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    assert [finding.severity for finding in ros() if finding.found == 'humble is sourced'] == [Severity.WRONG]


def test_a_missing_dds_profile_is_wrong(monkeypatch, tmp_path):
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', str(tmp_path / 'none.xml'))
    assert [finding.severity for finding in ros() if finding.name == 'DDS profile'] == [Severity.WRONG]


def test_weights_in_the_cache_are_seen(monkeypatch, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    assert image_weights()[0].severity is Severity.NOTE
    (tmp_path / 'hub' / 'checkpoints').mkdir(parents=True)
    (tmp_path / 'hub' / 'checkpoints' / 'resnet50-11ad3fa6.pth').touch()
    [finding] = image_weights()
    assert finding.severity is Severity.OK and finding.found.startswith('resnet50 in')


def test_cameras_are_optional_but_must_open(tmp_path):
    assert cameras(tmp_path)[0].severity is Severity.NOTE
    (tmp_path / 'video0').touch()
    assert cameras(tmp_path)[0].severity is Severity.OK


def test_a_read_only_home_is_reported(monkeypatch, tmp_path):
    for name in ('ROS_HOME', 'ROS_LOG_DIR'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('HOME', str(tmp_path))
    assert [finding.severity for finding in log_folder()] == [Severity.OK]
    monkeypatch.setenv('HOME', '/dev/null')
    [finding] = log_folder()
    assert finding.severity is Severity.NOTE and finding.found.startswith('HOME is /dev/null')
    monkeypatch.delenv('ROS_LOG_DIR')
    monkeypatch.delenv('HOME')
    [finding] = log_folder()
    assert finding.severity is Severity.NOTE and finding.found.startswith('HOME is not set')
