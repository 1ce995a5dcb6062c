"""Networks of the original developmental system: sizes, shapes, and what reaches the prediction."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn, Tensor

from cls_common.errors import UserError
from cls_learning.brains.developmental.networks.action_classifier import ActionClassifier
from cls_learning.brains.developmental.networks.action_embedding import ActionEmbedding, Film
from cls_learning.brains.developmental.networks.cnn import ConvolutionalAutoencoder
from cls_learning.brains.developmental.networks.contract import Autoencoder, Predictor
from cls_learning.brains.developmental.networks.lstm import LstmPredictor
from cls_learning.brains.developmental.networks.transformer import ACTION, FRAME, FUTURE, TransformerPredictor
from cls_learning.brains.developmental.networks.vit import kept, MaskedAutoencoder, sine_cosine

A, D, N, C = 2, 16, 6, 3


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def vit() -> MaskedAutoencoder:
    return MaskedAutoencoder((32, 48), patch=8, width=D, depth=2, decoder_width=8)


def cnn() -> ConvolutionalAutoencoder:
    return ConvolutionalAutoencoder((16, 24), channels=(8, 12, D))


def transformer(**options: object) -> TransformerPredictor:
    return TransformerPredictor(A, D, C, **{'layers': 3, 'heads': 2, 'capacity': 64, **options})  # type: ignore[arg-type]


def lstm() -> LstmPredictor:
    return LstmPredictor(A, D, C, hidden=24)


def pictures(autoencoder: Autoencoder, batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, *autoencoder.size)


def history(batch: int = 2, steps: int = C) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, steps, N, D), torch.rand(batch, steps, A) * 2 - 1


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_masked_autoencoder_has_the_size_of_the_original():
    network = MaskedAutoencoder()
    assert count(network) == 4_295_040
    assert (network.tokens, network.width, len(network.layers), network.masks) == (197, 256, 5, True)
    with torch.no_grad():
        assert network.decode(network.encode(torch.rand(1, 3, 224, 224))).shape == (1, 3, 224, 224)


@pytest.mark.parametrize('hidden, patches', [(0.3, 137), (0.5, 98), (0.75, 49), (0.85, 29), (0.0, 196)])
def test_a_share_of_the_patches_is_kept(hidden: float, patches: int):
    assert kept(196, hidden) == patches


def test_the_convolutional_autoencoder_has_the_size_of_the_original():
    network = ConvolutionalAutoencoder()
    assert (network.tokens, network.width, network.masks) == (49, 256, False)
    assert [layer.out_channels for layer in network.encoder if isinstance(layer, nn.Conv2d)] == [64, 128, 256, 256, 256]
    with torch.no_grad():
        coded = network.encode(torch.rand(1, 3, 224, 224))
        drawn = network.decode(coded)
    assert coded.shape == (1, 49, 256) and drawn.shape == (1, 3, 224, 224)
    assert drawn.min() >= 0 and drawn.max() <= 1


def test_the_predictors_have_the_sizes_of_the_original():
    embedding = 2 * 128 + 128 + 128 * 64 + 64 + 2 * 64
    layer = 4 * 256 * 256 + 4 * 256 + 2 * 4 * 256 * 256 + 5 * 256 + 4 * 256
    film = 64 * 512 + 512
    ends = 64 * 256 + 256 + 256 + 3 * 256 + 4096 * 256 + 256 * 256 + 256
    own = TransformerPredictor(2)
    assert count(own) == embedding + 6 * layer + 2 * film + ends
    assert [layer.dropout.p for layer in own.layers] == [0.1] * 6
    assert own.token_types(4, 197).shape == (4 * 198 + 197,)
    recurrent = LstmPredictor(2)
    lstm_units = 4 * 512 * (320 + 512 + 2) + 4 * 512 * (512 + 512 + 2)
    assert count(recurrent) == embedding + lstm_units + 512 * 256 + 256


def test_full_size_predictors_give_the_tokens_of_the_next_picture():
    tokens, actions = torch.randn(1, 1, 197, 256), torch.zeros(1, 1, 2)
    with torch.no_grad():
        for network in (TransformerPredictor(2), LstmPredictor(2)):
            assert network.eval()(tokens, actions).tokens.shape == (1, 197, 256)


@pytest.mark.parametrize('make', [vit, cnn])
def test_an_autoencoder_codes_pictures_as_tokens_and_back(make: Callable[[], Autoencoder]):
    network = make().eval()
    given = pictures(network)
    tokens = network.encode(given)
    assert tokens.shape == (2, network.tokens, network.width)
    drawn = network.decode(tokens)
    assert drawn.shape == given.shape
    torch.testing.assert_close(network.reconstruct(given, 0.0, rng()), drawn)
    torch.testing.assert_close(network.encode(given[1:]), tokens[1:])


@pytest.mark.parametrize('make', [vit, cnn])
@pytest.mark.parametrize('batch', [1, 4])
def test_an_autoencoder_learns_from_single_pictures_and_from_batches(make: Callable[[], Autoencoder], batch: int):
    network = make()
    given = pictures(network, batch)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)

    def error() -> Tensor:
        return (network.reconstruct(given, 0.0, rng()) - given).square().mean()

    network.eval()
    before = error().item()
    network.train()
    for _ in range(60):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    network.eval()
    assert error().item() < 0.7 * before


def test_each_patch_is_drawn_where_it_was_seen():
    """Only positions distinguish the outputs of the decoder: another order would move what is drawn."""
    network = vit().eval()
    seen = pictures(network, 1)
    other = seen.clone()
    other[..., 8:16, 16:24] = 0.5
    with torch.no_grad():
        for layer in network.layers:  # Without attention and perceptrons a token depends on its own patch alone.
            for part in layer.self_attn.out_proj, layer.linear2:
                part.weight.zero_()
        changed = (network.reconstruct(seen, 0.25, rng(4)) - network.reconstruct(other, 0.25, rng(4))).abs()
    assert changed[..., 8:16, 16:24].amax() > 1e-3
    changed[..., 8:16, 16:24] = 0
    assert changed.amax() == 0


def test_hidden_patches_have_no_effect_and_differ_between_pictures():
    network = vit().eval()
    one = pictures(network, 1).expand(2, -1, -1, -1)
    drawn = network.reconstruct(one, 0.75, rng())
    assert not torch.allclose(drawn[0], drawn[1])
    torch.testing.assert_close(drawn, network.reconstruct(one, 0.75, rng()))
    assert not torch.allclose(drawn, network.reconstruct(one, 0.75, rng(1)))
    order = rng().permutation(network.patches)
    row, column = divmod(int(order[-1]), 6)
    other = one.clone()
    other[0, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 0
    torch.testing.assert_close(drawn[0], network.reconstruct(other, 0.75, rng())[0])


def test_positions_are_fixed_and_differ():
    positions = sine_cosine((14, 14), 256)[0]
    assert positions.shape == (196, 256) and not positions.requires_grad
    torch.testing.assert_close(positions[0], torch.tensor([0.0, 1.0]).repeat_interleave(64).repeat(2))
    second = positions[15, [0, 64, 128, 192]]  # Second column and row, highest frequency.
    torch.testing.assert_close(second, torch.tensor([np.sin(1), np.cos(1)] * 2, dtype=torch.float32))
    assert torch.cdist(positions, positions).fill_diagonal_(1.0).min() > 0.1
    assert not any('positions' in name for name in vit().state_dict())


@pytest.mark.parametrize('make', [lambda: MaskedAutoencoder((224, 220)), lambda: ConvolutionalAutoencoder((0, 224))])
def test_pictures_of_an_impossible_size_are_refused(make: Callable[[], Autoencoder]):
    with pytest.raises(UserError, match='size of pictures; expected multiples of'):
        make()


def test_a_picture_of_one_token_is_coded_and_learned_from_by_itself():
    network = ConvolutionalAutoencoder((8, 8), channels=(4, 6, 8))  # One pixel inside, which has no variance.
    given = torch.rand(1, 3, 8, 8)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    errors = []
    for _ in range(40):
        optimizer.zero_grad()
        error = (network.reconstruct(given, 0.0, rng()) - given).square().mean()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.7 * errors[0]
    assert network.encode(torch.rand(2, 3, 8, 8)).isfinite().all()


@pytest.mark.parametrize('make', [transformer, lstm])
@pytest.mark.parametrize('steps', [1, C])
def test_a_prediction_depends_on_the_newest_picture_and_action(make: Callable[[], Predictor], steps: int):
    network = make().eval()
    tokens, actions = history(steps=steps)
    predicted = network(tokens, actions).tokens
    assert predicted.shape == (2, N, D)
    acted, saw = actions.clone(), tokens.clone()
    acted[0, -1], saw[0, -1] = -acted[0, -1], saw[0, -1] + 1
    for changed in (network(tokens, acted).tokens, network(saw, actions).tokens):
        assert (changed[0] - predicted[0]).abs().max() > 1e-4
        torch.testing.assert_close(changed[1], predicted[1])


@pytest.mark.parametrize('make', [transformer, lstm])
def test_a_sweep_predicts_each_action_as_a_single_step_does(make: Callable[[], Predictor]):
    network = make().eval()
    tokens, actions = history(1)
    candidates = torch.tensor([[-1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    swept = network.sweep(tokens, actions[:, :-1], candidates)
    assert swept.shape == (1, 3, N, D)
    for number, candidate in enumerate(candidates):
        actions[0, -1] = candidate
        torch.testing.assert_close(swept[0, number], network(tokens, actions).tokens[0])


@pytest.mark.parametrize('without', [(), ('token',), ('film',)])
@torch.no_grad()
def test_attention_is_captured_on_request_with_equal_outputs(without: tuple[str, ...]):
    network = transformer().eval()
    tokens, actions = history()
    plain, seen = network(tokens, actions, without=without), network(tokens, actions, True, without=without)
    torch.testing.assert_close(plain.tokens, seen.tokens)
    assert plain.attention == () and len(seen.attention) == 3
    length = C * (N + 1) + N
    for attention in seen.attention:
        assert attention.shape == (2, 2, length, length)
        torch.testing.assert_close(attention.sum(-1), torch.ones(2, 2, length))
        assert attention.triu(1).abs().max() == 0
        if 'token' in without:
            assert attention[:, :, -N:, -N - 1].abs().max() == 0


def test_capture_leaves_gradients_equal():
    network = transformer(dropout=0.0)
    tokens, actions = history()
    gradients = []
    for capture in (False, True):
        network.zero_grad()
        network(tokens, actions, capture).tokens.square().sum().backward()
        gradients.append(network.layers[0].self_attn.in_proj_weight.grad.clone())
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_token_types_follow_the_sequence_and_the_oldest_are_cut():
    network = transformer(capacity=10)
    assert transformer().token_types(2, 3).tolist() == [FRAME] * 3 + [ACTION] + [FRAME] * 3 + [ACTION] + [FUTURE] * 3
    assert network.token_types(3, 3).tolist() == [FRAME] * 2 + [ACTION] + [FRAME] * 3 + [ACTION] + [FUTURE] * 3
    tokens, actions = torch.randn(1, 3, 3, D), torch.randn(1, 3, A)
    network.eval()
    predicted = network(tokens, actions).tokens
    torch.testing.assert_close(network(tokens + torch.tensor([1.0, 0, 0])[:, None, None], actions).tokens, predicted)
    assert not torch.allclose(network(tokens + torch.tensor([0, 1.0, 0])[:, None, None], actions).tokens, predicted)
    with pytest.raises(UserError, match='fewer than 10; found 10'):
        network.token_types(1, 10)


def test_film_changes_nothing_until_it_has_learned():
    torch.testing.assert_close(Film(D)(features := torch.randn(2, 5, D), torch.randn(2, 64)), features)
    network = transformer().eval()
    assert sorted(network.film) == ['0', '2']
    tokens, actions = history()
    torch.testing.assert_close(network(tokens, actions).tokens, network(tokens, actions, without=['film']).tokens)
    with torch.no_grad():
        network.film['0'].linear.weight.normal_()
    assert not torch.allclose(network(tokens, actions).tokens, network(tokens, actions, without=['film']).tokens)


def test_the_transformer_predicts_the_change_of_the_newest_tokens():
    network = transformer()
    nn.init.zeros_(network.output.weight)
    nn.init.zeros_(network.output.bias)
    tokens, actions = history()
    torch.testing.assert_close(network(tokens, actions).tokens, tokens[:, -1])
    whole = transformer(delta=False)
    nn.init.zeros_(whole.output.weight)
    torch.testing.assert_close(whole(tokens, actions).tokens, whole.output.bias.expand(2, N, D))


@pytest.mark.parametrize('make, without', [(transformer, ('token', 'film')), (lstm, ('embedding',))])
def test_without_all_its_routes_the_last_action_has_no_effect(make: Callable[[], Predictor], without: tuple[str, ...]):
    network = make().eval()
    for film in getattr(network, 'film', nn.ModuleDict()).values():
        nn.init.normal_(film.linear.weight)
    tokens, actions = history()
    other = actions.clone()
    other[:, -1] = -other[:, -1]
    assert not torch.allclose(network(tokens, actions).tokens, network(tokens, other).tokens)
    torch.testing.assert_close(
        network(tokens, actions, without=without).tokens, network(tokens, other, without=without).tokens
    )
    with pytest.raises(ValueError, match='no such route'):
        network(tokens, actions, without=['nerve'])


def test_embedded_actions_are_normalised_over_their_length():
    embedded = ActionEmbedding(A)(torch.rand(5, C, A) * 2 - 1)
    assert embedded.shape == (5, C, 64)
    torch.testing.assert_close(embedded.mean(-1), torch.zeros(5, C), atol=1e-5, rtol=0)
    torch.testing.assert_close(embedded.var(-1, correction=0), torch.ones(5, C), atol=0.05, rtol=0)


def test_the_action_classifier_learns_which_way_a_dot_moved():
    network = ActionClassifier(2)
    assert count(network) == 3 * 16 * 9 + 16 + 16 * 32 * 9 + 32 + 32 * 2 + 2
    last = torch.zeros(8, 3, 16, 16)
    last[torch.arange(8), :, torch.arange(8) + 4, 8] = 1
    moved, labels = last.roll(2, -1), torch.tensor([0, 1]).repeat(4)
    predicted = torch.where(labels[:, None, None, None] == 1, moved, last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(predicted, last), labels).backward()
        optimizer.step()
    assert (network(predicted, last).argmax(1) == labels).all()
