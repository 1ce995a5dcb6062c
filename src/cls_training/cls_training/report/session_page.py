"""The report of a recorded session, also as a model sees it."""

from datetime import datetime
from pathlib import Path

import numpy as np

from cls_common.errors import UserError
from cls_common.transition import CAMERA
from cls_recording.discovery import find_sessions
from cls_recording.summary import SessionSummary, summarize

from ..exploration.models import as_steps, models_for, networks_of, read_saved, SavedModel
from ..exploration.robot_test import Trial
from ..exploration.sessions import action_shares, read_session, robot_of, Session, SIZE
from .model_page import actions_section
from .page import Block, Figure, Page, Section
from .step_sections import MEASURED, step_sections

_FRAMES = 8


def session_page(path: Path, made: str, models_dir: Path, model: str = '') -> Page:
    """Returns the report of a session.

    Args:
        made: when and by what the report was made, in words. models_dir: in which models of its robot are looked up.
        model: of the brain `developmental`, whose view of the session is added; empty: none.

    Raises:
        UserError: the session is damaged or of another robot than the model; the model is missing or of another brain.
    """
    summary, robot = summarize(path), robot_of(path)
    saved = read_saved(models_dir / model) if model else None
    if saved is not None:
        saved.config.check_robot(robot)
        networks_of(saved)
    sections = _frames(path, saved)
    sections.append(actions_section(action_shares([path]), f'As commanded, {summary.steps:,} steps.'))
    others = _others(path)
    if len(others) > 1:
        text = f'{len(others)} sessions of the robot {robot.name}, this one included.'
        sections.append(actions_section(action_shares(others), text, 'Distribution of actions, all sessions'))
    fits = models_for(robot, models_dir)
    facts = {
        'Session': summary.name, 'Robot': robot.name, 'Began': _when(summary), 'Length': f'{summary.duration:.1f} s',
        'Steps': f'{summary.steps:,}', 'Messages': f'{summary.messages:,}', 'Size': f'{summary.size / 1e6:.1f} MB',
        'State': summary.state, 'Models of this robot': ', '.join(fits), 'Seen by': model,
    }  # fmt: skip
    lines = [f'{summary.steps:,} steps of the robot {robot.name}, recorded in {summary.duration:.0f} s.']
    return Page(f'Session {summary.name}', made, facts, lines, sections)


def _frames(path: Path, saved: SavedModel | None) -> list[Section]:
    """Returns the sections with pictures, those of the model last; one line where the session has none."""
    size = networks_of(saved).autoencoder.size if saved is not None else SIZE
    try:
        session = read_session(path, size)
    except UserError as error:
        return [Section('Frames', [Block(f'Left out: {error}')])]
    if not session.steps:
        return [Section('Frames', [Block('The session has no complete step.')])]
    sections = [_strip(session)]
    if saved is not None:
        model = networks_of(saved)
        starts = session.starts(model.context)
        if not starts:
            text = f'Left out: the session has no {model.context} steps in a row.'
            return [*sections, Section(f'As {saved.folder.name} sees it', [Block(text)])]
        places = [starts[at] for at in np.linspace(0, len(starts) - 1, min(len(starts), MEASURED)).astype(int)]
        steps = as_steps(saved, *(session.window(number, model.context) for number in places))
        sections += step_sections(model, session.robot, steps, f'steps of the session {path.name}')
    return sections


def _strip(session: Session) -> Section:
    places = np.unique(np.linspace(0, len(session.steps) - 1, min(_FRAMES, len(session.steps))).astype(int))
    figures = []
    for number in places:
        step = session.steps[number]
        before, after = step.before[CAMERA], step.after[CAMERA]
        trial = Trial(step.action_commanded, before, after, float((before != after).any(-1).mean()))
        caption = f'step {number}: {session.captions[number]}; {trial.changed:.1%} of the pixels changed'
        figures.append(Figure.of(trial.figure, caption))
    text = 'Before an action, after it, and the difference.'
    return Section('Frames', [Block(f'{text} {session.problem}'.strip(), figures, is_large=True)])


def _others(path: Path) -> list[Path]:
    """Returns the readable sessions of the same robot in the folder of this one, itself included."""
    robot, found = robot_of(path), []
    for each in find_sessions([path.resolve().parent]):
        try:
            if robot_of(each).channels == robot.channels:
                found.append(each)
        except UserError:
            continue
    return found


def _when(summary: SessionSummary) -> str:
    return datetime.fromtimestamp(summary.start * 1e-9).strftime('%Y-%m-%d %H:%M:%S') if summary.start else ''
