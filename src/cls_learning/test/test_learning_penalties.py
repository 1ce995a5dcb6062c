"""Contract suite of every penalty on changes of weights, and what each measures, against closed forms."""

from collections.abc import Iterator
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn, Tensor

from cls_common.errors import UserError
from cls_learning import penalties, testing, world_models
from cls_learning.learners.folding import fold_module
from cls_learning.penalties.contract import Penalty
from cls_learning.penalties.ewc import EwcSettings, FORMS, REFERENCE
from cls_learning.penalties.fisher import Ewc
from cls_learning.penalties.memory_aware_synapses import MemoryAwareSynapses
from cls_learning.penalties.samples import Categorical, Gaussian, Sample
from cls_learning.penalties.settings import AnchorSettings, PenaltySettings
from cls_learning.penalties.si import SiSettings
from cls_learning.penalties.synaptic_intelligence import SynapticIntelligence
from cls_learning.registries import PENALTIES
from cls_learning.space_change import SpaceChange

CLASSES, INPUTS, COUNT = 4, 5, 12


@pytest.fixture(params=PENALTIES.names())
def penalty(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class TestPenalties(testing.PenaltySuite):
    """Every one, those of installed packages too."""


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class Softmax:
    """A linear network with softmax, its inputs and labels."""

    def __init__(self) -> None:
        self.weight = draw(CLASSES, INPUTS).requires_grad_()
        self.x = draw(COUNT, INPUTS, seed=1)
        self.labels = torch.arange(COUNT) % CLASSES

    def samples(self) -> Iterator[Sample]:
        return (Categorical(self.weight @ x, label) for x, label in zip(self.x, self.labels))

    def fisher(self, form: str, **values: Any) -> Tensor:
        """Returns the raw importance."""
        ewc = Ewc({'weight': self.weight}, EwcSettings(fisher=form, normalise=False, **values))
        return ewc.importance(self.samples(), generator())['weight']

    def closed_form(self) -> Tensor:
        """E[(p - onehot)^2 x^2] over labels by the network's own probabilities."""
        p = torch.softmax(self.x @ self.weight.detach().T, dim=1)  # (N, C)
        residuals = p[:, None, :] - torch.eye(CLASSES, dtype=torch.float64)  # (N, label, C)
        expected = (p[:, :, None] * residuals.square()).sum(dim=1)  # (N, C)
        return (expected[:, :, None] * self.x[:, None, :].square()).mean(dim=0)


def test_exact_fisher_of_a_linear_softmax_network_has_its_closed_form() -> None:
    network = Softmax()
    torch.testing.assert_close(network.fisher('exact'), network.closed_form(), rtol=0, atol=1e-6)


def test_the_square_of_a_mean_gradient_is_not_the_fisher_information() -> None:
    network = Softmax()
    truth = network.closed_form()
    assert float((network.fisher('batched', batch=COUNT) - truth).abs().max()) > 0.1 * float(truth.max())
    assert float(network.fisher('batched', batch=COUNT).mean()) < 0.5 * float(network.fisher('empirical').mean())
    torch.testing.assert_close(network.fisher('batched', batch=1), network.fisher('empirical'))


def test_empirical_fisher_uses_the_labels_that_happened() -> None:
    network = Softmax()
    residuals = torch.softmax(network.x @ network.weight.detach().T, dim=1)
    residuals[torch.arange(COUNT), network.labels] -= 1.0
    expected = (residuals.square()[:, :, None] * network.x.square()[:, None, :]).mean(dim=0)
    torch.testing.assert_close(network.fisher('empirical'), expected)


def test_sampled_fisher_is_unbiased() -> None:
    network = Softmax()
    ewc = Ewc({'weight': network.weight}, EwcSettings(fisher='sampled', normalise=False))
    draws = generator(1)
    found = torch.stack([ewc.importance(network.samples(), draws)['weight'] for _ in range(100)])
    error = found.std(dim=0) / 10.0
    assert bool(((found.mean(dim=0) - network.closed_form()).abs() < 5.0 * error).all())


def test_exact_fisher_of_a_gaussian_is_the_sum_of_squared_jacobian_rows() -> None:
    weight, x = draw(3, INPUTS).requires_grad_(), draw(COUNT, INPUTS, seed=1)
    for form, rtol in (('exact', 1e-9), ('sampled', 0.2)):
        samples = (Gaussian(torch.tanh(weight @ each), torch.zeros(3)) for each in x.repeat(100, 1))
        found = Ewc({'w': weight}, EwcSettings(fisher=form, normalise=False)).importance(samples, generator())['w']
        slope = 1.0 - torch.tanh(x @ weight.detach().T).square()  # (N, O)
        expected = (slope.square()[:, :, None] * x.square()[:, None, :]).mean(dim=0)
        torch.testing.assert_close(found, expected, rtol=rtol, atol=0.0)


@pytest.mark.parametrize('form', FORMS)
def test_recurrent_networks_need_no_other_code(form: str) -> None:
    """A window is a sample; a weight without a part in it has no importance."""
    cell, unused = nn.GRUCell(2, 3), torch.ones(4, requires_grad=True)
    weights = {**dict(cell.named_parameters()), 'unused': unused}
    windows, targets = draw(10, 5, 2).float(), draw(10, 3, seed=1).float()

    def samples() -> Iterator[Sample]:
        for window, target in zip(windows, targets):
            state = torch.zeros(3)
            for x in window:
                state = cell(x, state)
            yield Gaussian(state, target)

    ewc = Ewc(weights, EwcSettings(fisher=form, batch=4))
    ewc.anchor(samples(), generator())
    state = ewc.state()
    assert not state['importance.unused'].any() and bool(state['importance.weight_hh'].any())


def test_parts_of_a_large_jacobian_give_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Softmax()
    whole = network.fisher('exact')
    monkeypatch.setattr('cls_learning.penalties.samples.AT_ONCE', 3 * CLASSES * INPUTS)
    torch.testing.assert_close(network.fisher('exact'), whole)


def test_a_sum_over_tasks_is_the_sum_of_their_penalties() -> None:
    """Kept as one quadratic, whose size does not grow with the tasks."""
    toy, singles = testing.Toy('ewc', weight=2.0, fisher='exact', tasks='sum'), []
    x = draw(20, 6, seed=3).float()
    for task in range(3):
        toy.learn(*toy.data(task))
        toy.anchor(x * draw(6, seed=task).float(), torch.zeros(20, 2))
        single = penalties.make('ewc', {'weight': toy.weight}, _chosen('ewc', weight=2.0, fisher='exact'))
        single.anchor((Gaussian(e @ toy.weight.T, torch.zeros(2)) for e in x * draw(6, seed=task).float()), generator())
        singles.append(single)
    sizes = {name: tuple(value.shape) for name, value in toy.penalty.state().items()}
    assert sizes == {**{f'{p}.weight': (2, 6) for p in ('centre', 'importance', 'latest')}, 'anchors': (), 'offset': ()}
    for size in (0.0, 0.3, 1.0):
        toy.move(slice(None), size)
        expected = sum(float(single.loss().detach()) for single in singles)
        assert float(toy.penalty.loss().detach()) == pytest.approx(expected, rel=1e-4)


def test_online_importance_decays() -> None:
    toy = testing.Toy('ewc', fisher='exact', tasks='online', decay=0.25, normalise=False)
    importance = []
    for task in range(2):
        toy.learn_and_anchor(task)
        importance.append(toy.penalty.state()['importance.weight'].clone())
    torch.testing.assert_close(importance[1][:, :2], 0.25 * importance[0][:, :2])
    assert torch.equal(toy.penalty.state()['centre.weight'], toy.weight)


def test_the_reference_form_is_the_whole_of_lambda_times_fisher_times_squared_distance() -> None:
    network = Softmax()
    ewc = Ewc({'weight': network.weight}, REFERENCE)
    ewc.anchor(network.samples(), generator())
    with torch.no_grad():
        network.weight += 0.1
    moved = Softmax()
    expected = 0.5 * float((moved.fisher('empirical') * 0.01).sum())
    assert float(ewc.loss().detach()) == pytest.approx(expected, rel=1e-6)


def test_synaptic_intelligence_of_a_quadratic_finds_half_its_curvature() -> None:
    """Small steps from 1 to nearly 0 on h/2 x^2 lower the loss by h/2; 4 x h/2 with half the squared change too."""
    h = torch.tensor([2.0, 6.0], dtype=torch.float64)
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    si = SynapticIntelligence({'x': x}, SiSettings(normalise=False, damping=1e-9))
    _descend(si, x, h, steps=6000)
    si.anchor([], generator())
    torch.testing.assert_close(si.state()['importance.x'], h / 2, rtol=5e-3, atol=0.0)


def test_the_path_of_synaptic_intelligence_leaves_the_penalty_and_clipping_out() -> None:
    """The second task pulls from 0 to 1 against a penalty that holds it back, with gradients clipped to a tenth."""
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    si = SynapticIntelligence({'x': x}, SiSettings(normalise=False, damping=1e-9, weight=2.0))
    si.load({**si.state(), 'path.x': torch.ones(1) * 1e-9})
    si.anchor([], generator())  # importance 1 at 0
    for _ in range(4000):
        x.grad = None
        (2.0 * (x - 1.0).square().sum() + si.loss()).backward()
        assert x.grad is not None
        x.grad *= 0.1
        with torch.no_grad():
            x -= 0.01 * x.grad
        si.after_step(clip=0.1)
    end = float(x.detach())
    assert end == pytest.approx(2.0 / 3.0, rel=1e-3)
    fall = 2.0 - 2.0 * (end - 1.0) ** 2
    assert float(si.state()['path.x']) == pytest.approx(fall, rel=5e-3)


def _descend(si: Penalty, x: Tensor, h: Tensor, steps: int) -> None:
    for _ in range(steps):
        x.grad = None
        (0.5 * h * x.square()).sum().backward()
        with torch.no_grad():
            assert x.grad is not None
            x -= 1e-3 * x.grad
        si.after_step()


def test_memory_aware_synapses_of_a_linear_network_have_their_closed_form() -> None:
    weight, x = draw(3, INPUTS).requires_grad_(), draw(COUNT, INPUTS, seed=1)
    mas = MemoryAwareSynapses({'w': weight}, PenaltySettings(normalise=False))
    found = mas.importance((Gaussian(weight @ each, torch.zeros(3)) for each in x), generator())['w']
    expected = (2.0 * (x @ weight.detach().T)[:, :, None] * x[:, None, :]).abs().mean(dim=0)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('name', ['ewc', 'mas'])
def test_no_sample_and_no_finite_gradient_are_refused_and_change_nothing(name: str) -> None:
    toy = testing.Toy(name)
    toy.learn_and_anchor(0)
    toy.move(slice(None), 0.1)
    before = toy.penalty.state()
    with pytest.raises(UserError, match='expected at least one sample; found none'):
        toy.penalty.anchor([], generator())
    bad = [Gaussian(toy.weight.sum(dim=1) * float('nan'), torch.zeros(2))]
    with pytest.raises(UserError, match='expected finite numbers'):
        toy.penalty.anchor(bad, generator())
    after = toy.penalty.state()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


@pytest.mark.parametrize('shift', [0.0, 0.5])
def test_anchors_follow_a_new_snapshot_of_the_normaliser(penalty: str, shift: float) -> None:
    """No distance arises; the penalty keeps its share of a loss in normalised units."""
    model = world_models.make('film', z_size=4, action_size=2, hidden=(6, 5), residual=True, seed=0)
    with torch.no_grad():
        for at, weight in enumerate(model.parameters()):
            weight.copy_(0.3 * draw(*weight.shape, seed=at))
    found = penalties.make(penalty, dict(model.named_parameters()))
    z, action = draw(30, 4).float(), draw(30, 2, seed=1).float()

    def output(row: int) -> Tensor:
        return model.predict({}, z[row : row + 1], action[row : row + 1])[1][0]

    def move(size: float) -> None:
        with torch.no_grad():
            for at, weight in enumerate(model.parameters()):
                weight += size * draw(*weight.shape, seed=50 + at)

    output(0).square().sum().backward()
    move(0.01)
    found.after_step()
    change = SpaceChange(torch.tensor(2.0, dtype=torch.float64), shift * draw(4, seed=2))
    for moved in (0.0, 0.05):
        found.anchor((Gaussian(output(row), z[row]) for row in range(30)), generator())
        move(moved)
        before = float(found.loss().detach())
        fold_module(model, model.fold, change)
        found.fold(model.fold, change)
        after = float(found.loss().detach())
        if not moved:
            assert before == after == 0.0 and found.divergence() == (0.0, 0.0)
        else:
            assert after == pytest.approx(before / 4.0, rel=1e-3 if not shift else 0.5)


def test_unknown_penalties_and_settings_of_another_one_are_refused() -> None:
    with pytest.raises(UserError, match='unknown penalty'):
        AnchorSettings(penalty='none')
    with pytest.raises(UserError, match="penalty 'si'"):
        AnchorSettings.from_flat({'penalty': 'ewc', 'si.damping': 0.5})


def _chosen(name: str, **values: Any) -> Any:
    return AnchorSettings.from_flat({'penalty': name, **{f'{name}.{k}': v for k, v in values.items()}}).plugins


def test_settings_of_phases_and_penalties_are_listed_without_torch() -> None:
    code = (
        'import sys\nfrom cls_learning.config import LearningSettings\n'
        "print('sleep.anchor.si.damping' in dict(LearningSettings.leaves()), 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=100)
    assert found.stdout.split() == ['True', 'False'], found.stderr
