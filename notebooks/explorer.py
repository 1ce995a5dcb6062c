# %% [markdown]
# # Explorer: what a model of the brain `developmental` sees, predicts and attends to
#
# It reads a recorded session and a saved model, shows single steps, tests whether the action matters, and trains a copy
# of the model for a while. The functions are in `cls_training.exploration` and in the brain's `inspection`.
#
# A model and a session to begin with:
#
# ```sh
# ./cls train --brain developmental --robot toroidal_dot --model dot --steps 1000
# ./cls run --robot toroidal_dot --steps 100 --record
# ```
#
# This file exists as a notebook and as a script. `explorer.ipynb` is made of `explorer.py` by
# `./cls exec python notebooks/convert.py`: change the script. Run it from the root of the repository, as
# `./cls exec python notebooks/explorer.py`, which writes its figures to FIGURES, or in Jupyter.

# %%
from pathlib import Path

import numpy as np

from cls_learning.brains.developmental.inspection import views
from cls_sim.robots import make, SimulatorSettings
from cls_training.exploration import models, sessions
from cls_training.exploration.pictures import show
from cls_training.exploration.robot_test import try_actions
from cls_training.exploration.training import Training

# %% tags=["parameters"]
MODELS, SESSIONS, FIGURES = Path('models'), Path('sessions'), Path('figures')
# Of the models of the session's robot; empty: the newest.
MODEL = ''
# Optimiser steps of the two trainings at most, and the loss at which the second one ends.
STEPS, MOST_STEPS, THRESHOLD = 100, 1000, 0.0005

# %% [markdown]
# ## Sessions
#
# Run this cell again to refresh the list. The robot is read from the session, and the models that fit it are listed.

# %%
found = sessions.list_sessions([SESSIONS])
for each in found:
    print(f'{each.name}  {each.robot}  {each.steps} steps  {each.state}')
path = max((each for each in found if each.state == 'whole'), key=lambda each: each.steps).path
robot = sessions.robot_of(path)
fitting = models.models_for(robot, MODELS)
print(f'chosen: {path.name}, recorded on {robot.name}; its models: {", ".join(fitting) or "none"}')

# %%
saved = models.read_saved(MODELS / (MODEL or fitting[0]))
model = models.networks_of(saved)
session = sessions.read_session(path, model.autoencoder.size)
print(f'{saved.folder.name}: {saved.manifest.sequence} steps, {saved.manifest.cycles} sleeps; predicts from up to '
      f'{model.context} pictures; loss {model.loss}')  # fmt: skip
print(f'{path.name}: {len(session.steps)} steps. {session.problem}')

# %% [markdown]
# ## Frames with their actions

# %%
for number in range(min(5, len(session.steps))):
    print(number, session.captions[number])
show(np.concatenate(session.frames[:5], axis=1), FIGURES / 'frames.png')

# %% [markdown]
# ## Distribution of actions, in this session and in all sessions of the robot

# %%
same_robot = [each.path for each in found if each.robot == robot.name and each.state == 'whole' and each.steps]
for name, paths in (('this session', [path]), ('all sessions', same_robot)):
    print(name)
    for share in sessions.action_shares(paths):
        print(f'  {share.text:30} {share.count:6} {share.percent:5.1f} %')

# %% [markdown]
# ## Reconstruction
#
# Picture, reconstruction, difference.

# %%
# Pictures from which to predict: 2 to 8, as many as the model uses at most.
HISTORY = views.checked_history(model)
NUMBER = session.starts(HISTORY)[-1]
step = models.as_steps(saved, session.window(NUMBER, HISTORY))
seen = views.reconstruct(model, step.pictures[0, -1])
print(f'step {NUMBER}: loss {seen.loss:.3g}, squared error {seen.squared_error:.3g}, '
      f'{seen.share:.0%} of that of the mean colour')  # fmt: skip
show(seen.figure, FIGURES / 'reconstruction.png')

# %% [markdown]
# ## Prediction
#
# Picture before, prediction, picture after, error.

# %%
one = views.predict(model, step)
print(f'{session.captions[NUMBER]}, from {one.history} pictures: MSE {one.squared_error:.3g}, R2 {one.r2:.3f}; '
      f'MSE of copying the picture before: {one.copy_error:.3g}')  # fmt: skip
show(one.figure, FIGURES / 'prediction.png')

# %% [markdown]
# ## Every action
#
# The prediction for each action that the robot could have taken; the one that was taken is framed.

# %%
every = views.sweep(model, step)
for at, (action, error) in enumerate(zip(every.actions, every.errors)):
    text = sessions.action_text(robot, robot.to_units(action.numpy()))
    print(f'{text:30} MSE {error:.3g}{"  taken" if at == every.taken else ""}')
show(every.figure, FIGURES / 'every_action.png')

# %% [markdown]
# ## Attention
#
# What the predictor reads. Attention proves no effect: the next part tests that.

# %%
attention = views.attend(model, step)
if attention is None:
    print('the predictor of this model has no attention')
else:
    for name, value in attention.metrics.items():
        print(f'{name:40} {value:.3f}')
    show(attention.heat_map, FIGURES / 'attention.png')
    show(attention.breakdown_chart, FIGURES / 'attention_parts.png')

# %%
show(every.figure if attention is None else attention.figure, FIGURES / 'attended.png')

# %% [markdown]
# ## Does the action matter?
#
# Loss with other actions and without the action, and the explained variance with a wrong one.

# %%
starts = session.starts(model.context)[:24]
steps = models.as_steps(saved, *(session.window(number, model.context) for number in starts))
for name, value in views.effects(model, steps, np.random.default_rng(0)).items():
    print(f'{name:45} {value:.4g}')

# %% [markdown]
# ## Training
#
# On a copy of the model, through its consolidator: one sleep of the phase `predict`, as the live graph would do it,
# which stands in the journal. Leave the loop to pause; a new loop over `run()` goes on. Without `keep()` nothing
# changes. A training after which held-out steps are predicted worse is rolled back.

# %%
number = 1
while (copied := MODELS / f'{saved.folder.name}_{number}').exists():
    number += 1
models.copy_model(saved.folder, copied)
with Training(copied, 'predict', STEPS) as training:
    for progress in training.run():
        if progress.step == max(1, STEPS // 2):
            print(f'paused after {training.done} steps')
            break
    for progress in training.run():
        if progress.step % max(1, STEPS // 5) == 0:
            print(f'step {progress.step} of {progress.steps}: loss {progress.loss:.4g}')
    result = training.keep()
print(f'{"kept" if result.kept else "rolled back"} after {result.steps} steps. {result.verdict.text}')

# %% [markdown]
# Until the loss is low enough, here for the autoencoder alone:

# %%
with Training.to_threshold(copied, 'reconstruct', THRESHOLD, MOST_STEPS) as training:
    for progress in training.run():
        if progress.step % 100 == 0:
            print(f'step {progress.step}: loss {progress.loss:.4g}')
    result = training.keep()
print(f'{"reached" if result.reached else "not reached"} after {result.steps} steps: loss {result.loss:.4g}')
for name, after in result.after.items():
    before = result.before[name]
    print(f'{name:12} {after.count} weights, deviation {before.std:.4f} -> {after.std:.4f}, norm {before.norm:.2f} -> '
          f'{after.norm:.2f}, changed by {after.change:.2%}')  # fmt: skip
print(f'the live graph goes on with it: ./cls up --robot {robot.name} --model {copied.name}')

# %% [markdown]
# ## Robot test
#
# Single actions in simulation: picture before, picture after, difference. For a real robot record a session of single
# actions, `./cls run --mode manual --record`, and look at its frames above.

# %%
simulated = make('toroidal_dot', SimulatorSettings(robot='toroidal_dot', seed=1))
trials = try_actions(simulated)
for trial in trials:
    text = sessions.action_text(simulated.info, trial.action)
    print(f'{text}: {trial.changed:.1%} of the pixels changed')
simulated.close()
show(np.concatenate([trial.figure for trial in trials], axis=0), FIGURES / 'robot_test.png')
