"""Attention metrics, counterfactuals, gradients by layer and other measures of the developmental networks."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn, Tensor

from cls_learning.brains.developmental.inspection import figures
from cls_learning.brains.developmental.inspection.attention import attention_metrics, Breakdown, breakdown, Places
from cls_learning.brains.developmental.inspection.counterfactual import (
    action_gaps,
    action_sensitivity,
    causal_check,
    r2_gap,
)
from cls_learning.brains.developmental.inspection.gradients import gradient_metrics, GradientRecorder
from cls_learning.brains.developmental.inspection.measures import band, effective_rank, evaluation, explained_variance
from cls_learning.brains.developmental.networks.contract import Predicted, Predictor
from cls_learning.brains.developmental.networks.lstm import LstmPredictor
from cls_learning.brains.developmental.networks.transformer import TransformerPredictor

A, D, N, C = 2, 16, 4, 3
ATTENTION = 'predictor/attn/{}_mean'
GAPS = 'predictor/counterfactual/{}'


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def transformer(**options: object) -> TransformerPredictor:
    return TransformerPredictor(A, D, C, **{'layers': 3, 'heads': 2, 'capacity': 64, **options})  # type: ignore[arg-type]


def history(batch: int = 4) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, C, N, D), torch.rand(batch, C, A) * 2 - 1


class Mover(Predictor):
    """A predictor that is known: tokens move by the last action's first number, times a gain."""

    context = C

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, tokens: Tensor, actions: Tensor, with_attention: bool = False) -> Predicted:
        return Predicted(tokens[:, -1] + self.gain * actions[:, -1, :1, None])


def loss_against(target: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda predicted: (predicted - target).square().mean()


def uniform(types: Tensor) -> Tensor:
    """Attention of a token to all that it may attend to equally, of one sample and one head."""
    length = len(types)
    return (torch.ones(length, length).tril() / torch.arange(1, length + 1)[:, None])[None, None]


@pytest.mark.parametrize(
    'pictures, tokens, apa, alf, ttar, ri16, entropy',
    [
        (2, 4, 0.080649, 0.322594, 0.250000, 1.000000, 2.521702),
        (2, 16, 0.023812, 0.380995, 0.062500, 0.190385, 3.743560),
        (3, 197, 0.001453, 0.286209, 0.005076, 0.000878, 6.537660),
        (4, 197, 0.001127, 0.222007, 0.005076, 0.000702, 6.790318),
    ],
)
def test_metrics_of_uniform_attention(
    pictures: int, tokens: int, apa: float, alf: float, ttar: float, ri16: float, entropy: float
):
    types = transformer(capacity=4096).token_types(pictures, tokens)
    metrics = attention_metrics(uniform(types), types)
    expected = {'apa': apa, 'alf': alf, 'ttar': ttar, 'ri16': ri16, 'attn_entropy': entropy, 'uniform_baseline': apa}
    expected['history_recency'] = min(16, pictures * (tokens + 1)) / (pictures * (tokens + 1))
    assert metrics == pytest.approx({ATTENTION.format(k): v for k, v in expected.items()}, abs=1e-4)


def test_metrics_are_means_over_samples_and_heads():
    types = transformer().token_types(2, 3)
    one, other = uniform(types), torch.zeros(1, 1, 11, 11)
    other[..., 7] = 1  # All on the last action.
    both = attention_metrics(torch.cat([one, other], 1), types)
    apa = ATTENTION.format('apa')
    assert both[apa] == pytest.approx((attention_metrics(one, types)[apa] + 1) / 2)
    assert both == pytest.approx(attention_metrics(torch.cat([one, other], 0), types))
    assert attention_metrics(other, types)[ATTENTION.format('history_recency')] == pytest.approx(1)


def indices(chosen: Tensor) -> list[int]:
    return [int(index) for index in chosen.nonzero()]


def test_places_of_tokens_follow_the_sequence_also_after_cutting():
    whole = Places.of(transformer().token_types(2, 3))
    assert (indices(whole.frames), indices(whole.actions)) == ([0, 1, 2, 4, 5, 6], [3, 7])
    assert (indices(whole.queries), indices(whole.last_frame), whole.last_action) == ([8, 9, 10], [4, 5, 6], 7)
    cut = Places.of(transformer(capacity=6).token_types(2, 3))
    assert (indices(cut.frames), indices(cut.last_frame), cut.last_action) == ([0, 1], [0, 1], 2)
    alone = Places.of(transformer(capacity=4).token_types(2, 3))
    assert (indices(alone.frames), indices(alone.last_frame), alone.last_action) == ([], [], 0)
    types = torch.tensor([0, 0, 2, 2])
    assert (Places.of(types).last_action, indices(Places.of(types).last_frame)) == (None, [])
    assert attention_metrics(uniform(types), types)[ATTENTION.format('apa')] == 0


def test_the_breakdown_of_a_real_predictor_adds_up_to_all_attention():
    network = transformer().eval()
    predicted = network(*history(), with_attention=True)
    types = network.token_types(C, N)
    parts = breakdown(predicted.attention[-1], types)
    assert parts.last_action.shape == parts.rest.shape == (N,) and predicted.attention[-1].requires_grad
    np.testing.assert_allclose(parts.last_action + parts.last_frame + parts.rest, 1, atol=1e-5)
    metrics = attention_metrics(predicted.attention[-1], types)
    assert parts.last_action.mean() == pytest.approx(metrics[ATTENTION.format('apa')], abs=1e-6)
    assert parts.last_frame.mean() == pytest.approx(metrics[ATTENTION.format('alf')], abs=1e-6)


def test_queries_that_stand_in_no_sequence_are_measured_too():
    types = torch.tensor([0, 0, 0, 1])  # Three tokens of the last frame, and its action.
    metrics = attention_metrics(torch.full((2, 1, 3, 4), 0.25), types)
    names = ('apa', 'alf', 'ttar', 'ri16', 'history_recency', 'attn_entropy', 'uniform_baseline')
    values = (0.25, 0.75, 1 / 3, 1, 1, np.log(4), 0.25)
    assert metrics == pytest.approx({ATTENTION.format(name): value for name, value in zip(names, values)})
    np.testing.assert_allclose(breakdown(torch.full((2, 1, 3, 4), 0.25), types).last_frame, [0.75] * 3)


def gaps(gain: float, tokens: Tensor, actions: Tensor, seed: int = 0) -> dict[str, float]:
    target = Mover(1.0)(tokens, actions).tokens
    return action_gaps(Mover(gain), tokens, actions, loss_against(target), np.random.default_rng(seed))


def test_gaps_are_positive_only_where_the_action_is_used():
    tokens, actions = history(16)
    knows, blind = gaps(1.0, tokens, actions), gaps(0.0, tokens, actions)
    assert knows[GAPS.format('asg')] > 0.1 and knows[GAPS.format('changed')] > 0.9
    assert knows[GAPS.format('azg')] == pytest.approx(actions[:, -1, 0].square().mean().item())
    assert blind[GAPS.format('asg')] == blind[GAPS.format('azg')] == 0


def test_one_action_all_along_is_reported_as_an_empty_test():
    values = gaps(1.0, history()[0], torch.ones(4, C, A))
    assert values[GAPS.format('asg')] == values[GAPS.format('changed')] == 0


def test_actions_of_a_single_history_are_shuffled_over_its_steps():
    tokens, actions = history(1)
    assert {gaps(1.0, tokens, actions, seed)[GAPS.format('changed')] for seed in range(8)} == {0.0, 1.0}


def test_the_gap_of_a_wrong_action_in_explained_variance():
    tokens, actions = torch.zeros(8, C, N, D), torch.ones(8, C, A)
    actions[::2, -1] = -1
    target = Mover(1.0)(tokens, actions).tokens
    values = r2_gap(Mover(1.0), tokens, actions, -actions[:, -1], lambda drawn: drawn, target)
    assert values == pytest.approx(
        {'predictor_explained_variance': 1, GAPS.format('r2_wrong'): -3, GAPS.format('r2_gap'): 4}
    )


def test_the_causal_check_finds_the_route_by_which_the_action_works():
    network = transformer()
    nn.init.zeros_(network.action_token.weight)  # The token says nothing of the action.
    nn.init.normal_(network.film['0'].linear.weight)
    tokens, actions = history()
    with evaluation(network):
        target = network(tokens, actions).tokens
    effects = causal_check(network, tokens, actions, loss_against(target))
    assert effects['predictor/causal/without_film'] > 10 * effects['predictor/causal/without_token'] >= 0
    assert effects['predictor/causal/without_action'] > 0
    assert network.training


def test_the_causal_check_is_left_out_where_a_predictor_names_no_route():
    tokens, actions = history()
    loss = loss_against(tokens[:, -1])
    assert causal_check(Mover(1.0), tokens, actions, loss) == {}
    names = {'predictor/causal/without_embedding', 'predictor/causal/without_action'}
    assert set(causal_check(LstmPredictor(A, D, C, hidden=8), tokens, actions, loss)) == names


def test_sensitivity_is_the_variance_over_all_actions():
    tokens, actions = history(1)
    candidates = torch.tensor([[-1.0, 0], [0, 0], [1, 0]])
    name = 'predictor/action_sensitivity/variance'
    moved, still = (
        action_sensitivity(Mover(gain), tokens, actions[:, :-1], candidates, lambda drawn: drawn) for gain in (3.0, 0.0)
    )
    assert moved == pytest.approx({name: 9 * 2 / 3}) and still == {name: 0}


def ready(network: nn.Module) -> torch.optim.Optimizer:
    """Takes gradients of a loss; returns an optimiser that can step."""
    network.zero_grad()
    network(*history()).tokens.square().sum().backward()
    return torch.optim.SGD(network.parameters(), 0.01)


def test_gradients_and_updates_are_measured_by_layer_and_part():
    network = transformer(layers=2)
    optimizer = ready(network)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    metrics = GradientRecorder(network, 10).update(20, optimizer.step)
    parts = {f'transformer_layer_{layer}_{part}' for layer in (0, 1) for part in ('self_attn', 'linear1', 'linear2')}
    assert set(metrics) == {
        'predictor_grad_norm', 'predictor/grad/grad_action_ratio', 'predictor_uwr_95th',
        *(f'{kind}/transformer/{part}' for kind in ('grad_norms', 'uwr') for part in parts),
    }  # fmt: skip
    gradients = {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}
    flat = torch.cat([gradient.flatten() for gradient in gradients.values()])
    assert metrics['predictor_grad_norm'] == pytest.approx(flat.norm().item(), rel=1e-5)
    linear = np.concatenate(
        [gradients[f'layers.1.linear1.{kind}'].abs().numpy().ravel() for kind in ('weight', 'bias')]
    )
    assert metrics['grad_norms/transformer/transformer_layer_1_linear1'] == pytest.approx(np.median(linear), rel=1e-5)
    ratios = torch.cat([(0.01 * gradients[n] / (before[n].abs() + 1e-8)).abs().flatten() for n in gradients])
    assert metrics['predictor_uwr_95th'] == pytest.approx(torch.quantile(ratios, 0.95).item(), rel=1e-2)
    assert 0 < metrics['predictor/grad/grad_action_ratio'] < 1


def test_the_action_ratio_is_the_share_of_the_actions_parameters():
    gradients = {'action_embedding.0.weight': torch.ones(9), 'film.0.linear.bias': torch.ones(7)}
    assert gradient_metrics(gradients)['predictor/grad/grad_action_ratio'] == pytest.approx(1)
    half = gradients | {'output.weight': torch.ones(48)}
    assert gradient_metrics(half)['predictor/grad/grad_action_ratio'] == pytest.approx(0.5)
    assert gradient_metrics({})['predictor/grad/grad_action_ratio'] == 0


class CountsReads(LstmPredictor):
    """Counts how often its weights are asked for."""

    reads = 0

    def named_parameters(self, *args: object, **options: object) -> Iterator[tuple[str, nn.Parameter]]:
        self.reads += 1
        return super().named_parameters(*args, **options)  # type: ignore[arg-type]


def test_between_measurements_an_update_is_applied_and_nothing_else():
    network = CountsReads(A, D, C, hidden=8)
    recorder, optimizer = GradientRecorder(network, 100), ready(network)
    before, reads = network.output.weight.detach().clone(), network.reads
    assert recorder.update(99, optimizer.step) == {}
    assert not torch.equal(before, network.output.weight) and network.reads == reads
    names = {'predictor_grad_norm', 'predictor/grad/grad_action_ratio', 'predictor_uwr_95th'}
    assert set(recorder.update(100, optimizer.step)) == names


def dot(x: int) -> Tensor:
    picture = torch.zeros(1, 3, 32, 32)
    picture[..., 15:18, x : x + 3] = 1
    return picture


def test_explained_variance_of_known_predictions():
    target = dot(4)
    assert explained_variance(target, target) == pytest.approx(1)
    assert explained_variance(target + 0.3, target) == pytest.approx(1)
    assert explained_variance(torch.zeros_like(target), target) == pytest.approx(0, abs=1e-6)
    # A dot at another place has twice the error of black, half a dot at each place half of it.
    assert explained_variance(dot(20), target) == pytest.approx(-1, abs=0.05)
    assert explained_variance((dot(4) + dot(20)) / 2, target) == pytest.approx(0.5, abs=0.01)
    order, guess = torch.randperm(target.numel()), torch.rand_like(target)
    in_patches = explained_variance(guess.flatten()[order], target.flatten()[order])
    assert in_patches == pytest.approx(explained_variance(guess, target))


@pytest.mark.parametrize(
    'explained, words',
    [
        (0.95, 'most'), (0.4, 'useful'), (0.2, 'useful'), (0.0, 'no better'), (-0.04, 'no better'), (-0.5, 'worse'),
        (float('nan'), 'worse'),
    ],
)  # fmt: skip
def test_explained_variance_in_words(explained: float, words: str):
    assert band(explained).startswith(words)


def test_effective_rank_counts_directions_in_which_pictures_differ():
    directions = torch.linalg.qr(torch.randn(D, D))[0]
    for rank in (1, 4, D):
        tokens = torch.randn(500, 2, rank) @ directions[:rank]
        assert effective_rank(tokens) == pytest.approx(rank, rel=0.02)
    places = 10 * torch.randn(1, 6, D)
    assert effective_rank(places.expand(20, -1, -1)) == 0
    assert effective_rank(places + torch.randn(200, 1, 1) * directions[0]) == pytest.approx(1, abs=1e-3)
    spread_but_flat = torch.randn(300, 1, 1) * torch.ones(D)
    assert spread_but_flat.std(0).min() > 0.5 and effective_rank(spread_but_flat) == pytest.approx(1, abs=1e-3)


def test_evaluation_mode_ends_as_it_began():
    network = transformer()
    network.layers[1].eval()
    with pytest.raises(RuntimeError, match='grad'), evaluation(network):
        assert not any(module.training for module in network.modules())
        network(*history()).tokens.sum().backward()
    assert network.training and network.layers[0].training and not network.layers[1].training


def test_pictures_stand_side_by_side_and_one_is_marked():
    pictures = torch.stack([torch.zeros(3, 8, 6), torch.full((3, 8, 6), 0.5), torch.full((3, 8, 6), 2.0)])
    figure = figures.sweep(pictures, taken=1)
    assert figure.shape == (8 + 8, 3 * 6 + 4 * 4, 3) and figure.dtype == np.uint8
    assert [figure[8, 4 + 10 * k + 3].tolist() for k in range(3)] == [[0] * 3, [128] * 3, [255] * 3]
    frame = [[column for column in range(34) if tuple(figure[row, column]) == figures.MARK] for row in (0, 8)]
    assert frame == [list(range(10, 24)), [10, 11, 12, 13, 20, 21, 22, 23]]
    assert not (figures.sweep(pictures) == figures.MARK).all(-1).any()


def test_a_reconstruction_stands_beside_its_error():
    figure = figures.reconstruction(torch.ones(3, 4, 4), torch.full((3, 4, 4), 0.4))
    assert [figure[6, 6 + 8 * k, 0] for k in range(3)] == [255, 102, 153]
    figure = figures.prediction(torch.zeros(3, 4, 4), torch.full((3, 4, 4), 1.5), torch.ones(3, 4, 4))
    assert [figure[6, 6 + 8 * k, 0] for k in range(4)] == [0, 255, 255, 0]


def test_the_heat_map_is_brightest_where_a_token_reads_most():
    attention = torch.zeros(2, 3, 5, 5)
    attention[1, 2] = torch.eye(5) * 0.3
    figure = figures.heat_map(attention, head=2, sample=1)
    assert figure.shape == (5, 5, 3)
    bright = (figure == figures.RAMP[-1]).all(-1)
    np.testing.assert_array_equal(bright, np.eye(5, dtype=bool))
    assert (figures.heat_map(attention) == figures.RAMP[0]).all()


def test_bars_are_as_high_as_their_shares():
    parts = Breakdown(*(np.array(values, np.float32) for values in ([0.1, 0.0], [0.6, 1.0], [0.3, 0.0])))
    chart = figures.breakdown_chart(parts, height=50, bar=3)
    assert chart.shape == (50, 6, 3)
    heights = [[int((chart[:, column] == colour).all(-1).sum()) for colour in figures.PARTS] for column in (0, 2, 3)]
    assert heights == [[5, 30, 15], [5, 30, 15], [0, 50, 0]]
    assert tuple(chart[-1, 0]) == figures.PARTS[0]
