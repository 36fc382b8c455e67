"""Contours, episodes and few-shot training, on a small corpus of coloured noise."""

import dataclasses

import pytest
import torch

from v2s_sklearn.acoustic.networks.contour import ContourNet, z_normalise
from v2s_sklearn.pretrain import few_shot
from v2s_sklearn.pretrain.card import describe_episodes
from v2s_sklearn.pretrain.contours import (
    draw_bands,
    draw_contours,
    image_contours,
    interpolate,
    noise_corpus,
    sounding_spans,
)
from v2s_sklearn.pretrain.datasets import ContourSplit
from v2s_sklearn.pretrain.episodes import KINDS, Episodes, TaskShape, draw_episodes
from v2s_sklearn.pretrain.few_shot import (
    FewShotConfig,
    FixedFeatures,
    Learner,
    RidgeHead,
    corpora,
    gram_matrix,
    query_loss,
    train_few_shot,
)

SMALL = {"channels": (4, 8, 8, 12), "n_points": 64, "n_bands": 2}
CONFIG = FewShotConfig(epochs=3, steps_per_epoch=2, n_validation=1, probe_epochs=2)
COUNTS = {"word": 2, "texture": 3, "variant": 2}
SHAPE = TaskShape()
# Tasks of several sizes and of all kinds, their weights averaged.
VARIED = dataclasses.replace(
    CONFIG,
    episodes=dict.fromkeys(KINDS, 1),
    n_classes=(2, 3, 5),
    n_cases=15,
    lengths=(32, 64),
    length_shares=(0.5, 0.5),
    averaging=0.5,
)


@pytest.fixture(scope="module")
def corpus():
    return noise_corpus(120, 20, (98, 40), 16000, n_words=5, seed=5)


@pytest.fixture(scope="module")
def data(corpus):
    split = ContourSplit(corpus.images, corpus.labels, corpus.clips)
    return {"train": split, "validation": split}


def new_model(n_words=5):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return ContourNet([f"word{i}" for i in range(n_words)], **SMALL)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_noise_has_the_form_of_speech(corpus):
    assert corpus.images.shape == (120, 98, 40)
    assert corpus.clips.shape == (20, 16000)
    assert corpus.clips.dtype == torch.int16
    assert sum(len(index) for index in corpus.of_word) == 120
    # Images of a word are alike, those of others not.
    flat = corpus.images.float().flatten(1)
    alike = torch.corrcoef(flat - flat.mean(0))
    same = corpus.labels[:, None] == corpus.labels
    other = alike[~same].mean()
    assert alike[same & ~torch.eye(120, dtype=bool)].mean() > other + 0.2


def test_what_sounds_is_found():
    levels = torch.zeros(2, 10)
    levels[0, 3:7] = 1.0
    assert sounding_spans(levels).tolist() == [[3, 7], [0, 10]]


def test_bands_are_smooth_bumps_or_differences_of_two():
    bands = draw_bands(500, 40, generator())
    sums = bands.sum(1)
    is_bump = (sums - 1).abs() < 1e-4
    assert (is_bump | (sums.abs() < 1e-4)).all()
    assert 0.6 < is_bump.float().mean() < 0.8
    assert (bands[is_bump] >= 0).all()


def test_interpolation_is_linear_and_holds_the_ends():
    series = torch.tensor([[0.0, 2.0, 6.0]])
    assert interpolate(series, torch.tensor([[-1.0, 0.5, 1.5, 2.0, 9.0]])).tolist() == [[0.0, 1.0, 4.0, 6.0, 6.0]]


def test_a_contour_is_the_weighted_course_of_the_bands(corpus):
    bands = torch.zeros(1, 40)
    bands[0, 7] = 1.0
    index = torch.tensor([3])
    contour = image_contours(corpus, index, bands, torch.tensor([10.0]), torch.tensor([19.0]), 10)
    torch.testing.assert_close(contour[0], corpus.images[3, 10:20, 7].float())


def test_contours_are_normalised_and_reproducible(corpus):
    contours = [draw_contours(corpus, 50, 64, generator(seed)) for seed in (0, 0, 1)]
    assert contours[0].shape == (50, 64)
    assert contours[0].isfinite().all()
    torch.testing.assert_close(contours[0].mean(1), torch.zeros(50), atol=1e-4, rtol=0)
    torch.testing.assert_close(contours[0].square().mean(1), torch.ones(50), atol=1e-3, rtol=0)
    assert torch.equal(contours[0], contours[1])
    assert not torch.equal(contours[0], contours[2])


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("shape", [SHAPE, TaskShape(2, 7), TaskShape(5, 3)])
def test_cases_of_a_class_are_alike(kind, shape, corpus):
    """On average over some tasks: in fixed features of the series, since motifs and rhythms move."""
    series = torch.cat([KINDS[kind](corpus, n, 64, generator(seed), shape) for seed in range(12) for n in (1, 4)])
    assert series.shape == (60, shape.n_cases, 64)
    assert series.isfinite().all()
    features = FixedFeatures()(z_normalise(series).flatten(0, 1)).unflatten(0, (60, -1))
    z = few_shot.standardise(features)
    distances = torch.cdist(z, z)
    labels = shape.labels()
    same = labels[:, None] == labels
    within = distances[:, same & ~torch.eye(shape.n_cases, dtype=bool)].mean()
    assert within < 0.98 * distances[:, ~same].mean()


@pytest.mark.parametrize("shape", [SHAPE, TaskShape(2, 7), TaskShape(5, 3)])
def test_labelled_and_asked_cases_of_an_episode(shape, corpus):
    episodes = draw_episodes(corpus, COUNTS, 64, generator(), shape)
    assert episodes.series.shape == (7, shape.n_cases, 64)
    per_class = episodes.support.unflatten(1, (shape.n_classes, shape.n_per_class)).sum(2)
    assert (per_class == per_class[:, :1]).all()  # as many of each class
    assert set(per_class[:, 0].tolist()) <= {n for n in (1, 2, 3, 5) if n < shape.n_per_class} | {shape.n_per_class - 1}
    assert torch.equal(episodes.series, draw_episodes(corpus, COUNTS, 64, generator(), shape).series)


def test_no_image_is_labelled_and_asked_for(corpus, monkeypatch):
    """The cases of a task of words are images of their own."""
    drawn = []

    def recorded(corpus, index, *args):
        drawn.append(index)
        return image_contours(corpus, index, *args)

    monkeypatch.setattr("v2s_sklearn.pretrain.episodes.image_contours", recorded)
    KINDS["word"](corpus, 3, 64, generator(), SHAPE)
    for index in drawn[0].split(SHAPE.n_cases):
        assert len(index.unique()) == SHAPE.n_cases
        words = corpus.labels[index].unflatten(0, (SHAPE.n_classes, SHAPE.n_per_class))
        assert (words == words[:, :1]).all()
        assert len(words[:, 0].unique()) == SHAPE.n_classes


@pytest.mark.parametrize("shape", [SHAPE, TaskShape(2, 16)])
def test_the_ridge_is_the_usual_one_on_the_labelled_cases(shape):
    features = torch.randn((2, shape.n_cases, 20), generator=generator())
    gram = gram_matrix(features)
    head = RidgeHead((3, shape.n_classes))
    with torch.no_grad():
        head.log_strength.copy_(torch.tensor([7.0, -1.0]))  # each number of classes has its own
    support = torch.arange(shape.n_cases) % shape.n_per_class < torch.tensor([[2], [5]])
    logits = head(gram, Episodes(features, support, shape))
    for each, flags, found in zip(few_shot.standardise(features), support, logits, strict=True):
        x = each / each.square().sum(1).mean().sqrt()
        mean = x[flags].mean(0)
        targets = 2.0 * torch.nn.functional.one_hot(shape.labels()[flags], shape.n_classes) - 1.0
        penalty = 0.1 * flags.sum() * head.log_strength[1].exp() + 1e-4
        centred = x[flags] - mean
        coef = torch.linalg.solve(
            centred.T @ centred + penalty * torch.eye(20), centred.T @ (targets - targets.mean(0))
        )
        expected = head.log_sharpness[1].exp() * ((x - mean) @ coef + targets.mean(0))
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_the_labels_of_asked_cases_are_not_used(corpus):
    """Only labelled cases move the answers, and only asked ones count in the loss."""
    episodes = draw_episodes(corpus, COUNTS, 64, generator())
    logits = torch.zeros(7, SHAPE.n_cases, 4)
    logits[episodes.support] = 50.0 * torch.nn.functional.one_hot(SHAPE.labels(), 4).expand(7, -1, -1)[episodes.support]
    loss, accuracy = query_loss(logits, episodes)
    torch.testing.assert_close(loss, torch.tensor(4.0).log())
    torch.testing.assert_close(accuracy, torch.full((7,), 1 / 4))


def test_the_fixed_features_are_shares():
    series = torch.randn((3, 64), generator=generator())
    features = FixedFeatures()(series)
    assert features.shape[0] == 3
    assert ((features >= 0) & (features <= 1)).all()
    # Of each group one filter answers most at every moment.
    torch.testing.assert_close(features[:, :8].square().sum(1), torch.ones(3))


def test_training_makes_the_loss_smaller(corpus):
    learner = Learner(new_model(), (4,))
    episodes = draw_episodes(corpus, {"variant": 4}, 64, generator())
    optimizer = torch.optim.AdamW(learner.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        alone, joint = learner(episodes, complement=True)
        loss = query_loss(alone, episodes)[0] + query_loss(joint, episodes)[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    "config", [CONFIG, dataclasses.replace(CONFIG, contours="noise"), VARIED], ids=["speech", "noise", "varied"]
)
def test_a_killed_run_resumes_to_the_same_weights(config, data, tmp_path, monkeypatch):
    model, history = train_few_shot(new_model(), data, config, tmp_path / "unbroken")
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert all(0 <= entry["validation_accuracy"] <= 1 for entry in history)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert "words_accuracy" in history[-1]

    class Killed(Exception):
        pass

    calls = []

    def killed(*args):
        calls.append(args)
        if len(calls) == 5:  # in the second of three epochs
            raise Killed
        return draw_episodes(*args)

    with monkeypatch.context() as patch:
        patch.setattr(few_shot, "draw_episodes", killed)
        with pytest.raises(Killed):
            train_few_shot(new_model(), data, config, tmp_path / "killed")
    resumed, resumed_history = train_few_shot(new_model(), data, config, tmp_path / "killed")
    assert len(resumed_history) == 3
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    finished, _ = train_few_shot(new_model(), data, config, tmp_path / "killed")
    assert torch.equal(finished.output.weight, model.output.weight)


def test_the_control_hears_no_speech_but_is_judged_on_it(data):
    train, validation = corpora(data, dataclasses.replace(CONFIG, contours="noise"))
    assert not torch.equal(train.images, data["train"].features)
    assert train.images.shape == data["train"].features.shape
    assert torch.equal(validation.images, data["validation"].features)


def test_the_words_are_learned_by_the_last_layer_alone(data):
    model = new_model()
    model.store_statistics(draw_contours(corpora(data, CONFIG)[0], 64, 64, generator()))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    few_shot.fit_words(model, data["train"], dataclasses.replace(CONFIG, probe_epochs=200))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("output."), name
    with torch.no_grad():
        logits = model.activations(data["train"].batch(slice(None)))["logits"]
    assert (logits.argmax(1) == data["train"].labels).float().mean() > 0.6


def test_trained_random_and_control_weights_are_compared(data, tmp_path):
    untrained = new_model()
    _, history = train_few_shot(new_model(), data, CONFIG, tmp_path / "contour")
    rows = few_shot.compare_on_episodes(untrained, history, tmp_path / "control", data, CONFIG)
    assert list(rows) == ["trained", "random"]
    assert rows["trained"] is history[-1]
    assert rows["random"]["validation_accuracy"] != rows["trained"]["validation_accuracy"]
    control = dataclasses.replace(CONFIG, contours="noise", probe_epochs=0, epochs=2)
    train_few_shot(new_model(), data, control, tmp_path / "control")
    rows = few_shot.compare_on_episodes(untrained, history, tmp_path / "control", data, CONFIG)
    assert list(rows)[-1] == "trained on contours of coloured noise (4 steps)"
    table = describe_episodes(rows, CONFIG)
    assert "6 tasks" in table
    assert f"| random | {100 * rows['random']['validation_accuracy']:.1f} |" in table


def test_the_mean_of_the_weights_is_kept(data, tmp_path):
    """With a decay of nearly one it stays where the weights began."""
    before = new_model().state_dict()
    moved = {}
    for decay in (0.0, 0.5, 1 - 1e-7):
        config = dataclasses.replace(VARIED, averaging=decay)
        after = train_few_shot(new_model(), data, config, tmp_path / str(decay))[0].state_dict()
        moved[decay] = (after["stem.weight"] - before["stem.weight"]).abs().mean().item()
    # The first step's weights are the first mean.
    assert 0 < moved[1 - 1e-7] < moved[0.5] < moved[0.0]


def test_the_table_has_a_column_for_each_kind_of_task(data, tmp_path):
    _, history = train_few_shot(new_model(), data, VARIED, tmp_path)
    table = describe_episodes({"trained": history[-1]}, VARIED)
    assert "5 tasks of 2, 3 or 5 classes" in table
    assert "| weights | all | words | textures | variants | motifs | rhythms | with fixed features |" in table
