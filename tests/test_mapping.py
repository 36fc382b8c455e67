import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.mapping import (
    STANDARDISED_LIMIT,
    LinearMapping,
    ManyToOneMapping,
    frequency_mapping,
    random_mapping,
)
from v2s_sklearn.ridge import calibrate, solve_ridge


@pytest.mark.parametrize(("n_target", "size"), [(1, 36), (2, 18), (5, 7), (36, 1)])
def test_random_mapping_gives_each_class_its_own_source_classes(n_target, size):
    assignment = random_mapping(36, n_target, np.random.RandomState(0))
    assert assignment.shape == (n_target, size)
    assert len(np.unique(assignment)) == n_target * size
    other = random_mapping(36, n_target, np.random.RandomState(1))
    assert (assignment != other).any()


def test_more_target_than_source_classes_is_an_error_with_a_way_out():
    with pytest.raises(InvalidParameterError, match="36 source and 40 target classes.*mapping='ridge'"):
        random_mapping(36, 40, np.random.RandomState(0))


def test_frequency_mapping_takes_the_most_frequent_pairs_first():
    # Class 0 is heard as source 2 (3 of 4), class 1 as source 2 (2 of 4), 0 and 3.
    heard = [2, 2, 2, 1, 2, 2, 0, 3]
    probabilities = np.eye(4)[heard] * 0.7 + 0.075
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assignment = frequency_mapping(probabilities, labels, 2, np.ones(8))
    assert sorted(assignment[0]) == [1, 2]
    assert sorted(assignment[1]) == [0, 3]
    # With weights on class 1 source 2 goes there.
    assignment = frequency_mapping(probabilities, labels, 2, np.where(labels == 1, 9.0, 1.0))
    assert 2 in assignment[1]


def test_many_to_one_is_the_mean_of_the_source_probabilities():
    assignment = np.array([[0, 3], [4, 1]])
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    source = torch.softmax(logits, dim=1)
    expected = torch.stack([source[:, [0, 3]].mean(1), source[:, [4, 1]].mean(1)], dim=1)
    torch.testing.assert_close(ManyToOneMapping(assignment)(logits).exp(), expected)


@pytest.fixture(params=[(30, 80), (60, 12)], ids=["wide", "tall"])
def problem(request):
    n, d = request.param
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d))
    labels = rng.integers(0, 3, n)
    x[:, :3] += np.eye(3)[labels]
    weights = rng.uniform(0.5, 3.0, n)
    return x, weights, labels


def signs(labels):
    return np.where(labels[:, None] == np.arange(3), 1.0, -1.0)


def solve_at(alpha, x, labels, weights):
    """Solve with one penalty on the weighted mean of the squared errors."""
    centred = x - weights @ x / weights.sum()
    return solve_ridge(
        x, labels, weights, 3, strengths=alpha * weights.sum() / (weights @ centred**2).sum(keepdims=True)
    )


def test_ridge_agrees_with_scikit_learn(problem):
    x, weights, labels = problem
    ours = solve_at(0.3, x, labels, weights)
    assert ours.alpha == pytest.approx(0.3)
    theirs = Ridge(alpha=0.3 * weights.sum()).fit(x, signs(labels), sample_weight=weights)
    np.testing.assert_allclose(ours.coef, theirs.coef_.T, atol=1e-9)
    np.testing.assert_allclose(ours.intercept, theirs.intercept_, atol=1e-9)


def test_leave_one_out_scores_are_those_of_refitting(problem):
    x, weights, labels = problem
    scores = solve_at(0.3, x, labels, weights).loo_scores
    for left_out in (0, 7, 29):
        rest = np.arange(len(x)) != left_out
        model = Ridge(alpha=0.3 * weights.sum()).fit(x[rest], signs(labels[rest]), sample_weight=weights[rest])
        np.testing.assert_allclose(scores[left_out], model.predict(x[[left_out]])[0], atol=1e-8)


def test_the_strength_with_least_leave_one_out_loss_is_chosen(problem):
    x, weights, labels = problem
    strengths = np.logspace(-4, 2, 7)
    each = [solve_ridge(x, labels, weights, 3, strengths=strengths[[i]]) for i in range(7)]
    losses = [calibrate(ridge.loo_scores, labels, weights)[1] for ridge in each]
    assert solve_ridge(x, labels, weights, 3, strengths=strengths).alpha == each[np.argmin(losses)].alpha


def test_a_class_of_one_case_chooses_neither_strength_nor_sharpness(problem):
    """Left out, it cannot be found at any strength, which would ask for a duller answer about all."""
    x, weights, labels = problem
    x, weights = np.vstack([x, -x[:5]]), np.append(weights, weights[:5])
    all_labels, n = np.append(labels, np.arange(3, 8)), len(labels)
    strengths = np.logspace(-4, 2, 7)
    each = [solve_ridge(x, all_labels, weights, 8, strengths=strengths[[i]]) for i in range(7)]
    losses = [calibrate(ridge.loo_scores[:n], labels, weights[:n])[1] for ridge in each]
    chosen, best = solve_ridge(x, all_labels, weights, 8, strengths=strengths), each[np.argmin(losses)]
    assert (chosen.alpha, chosen.sharpness) == (best.alpha, best.sharpness)
    assert chosen.sharpness > 1.05 * calibrate(chosen.loo_scores, all_labels, weights)[0]


def test_one_case_of_each_class_is_told_apart():
    rng = np.random.default_rng(0)
    prototypes = rng.normal(size=(40, 200))
    ridge = solve_ridge(prototypes, np.arange(40), np.ones(40), 40)
    scores = (prototypes + rng.normal(size=prototypes.shape)) @ ridge.coef + ridge.intercept
    assert (scores.argmax(axis=1) == np.arange(40)).mean() > 0.95


def test_constant_features_give_the_shares_of_the_classes(problem):
    _, weights, labels = problem
    ridge = solve_ridge(np.full((len(labels), 4), 7.0), labels, weights, 3)
    assert not ridge.coef.any()
    np.testing.assert_allclose(ridge.intercept, 2 * np.bincount(labels, weights) / weights.sum() - 1)


def test_sharpness_falls_with_noise():
    labels = np.tile([0, 1], 50)
    scores = np.where(labels[:, None] == np.arange(2), 1.0, -1.0)
    noisy = scores.copy()
    noisy[:30] *= -1
    (sharp, low), (dull, high) = (calibrate(s, labels, np.ones(100)) for s in (scores, noisy))
    assert sharp > dull
    assert low < high


def test_few_right_answers_do_not_make_certainty():
    for n in (4, 40, 400):
        labels = np.arange(n) % 3
        scores = np.where(labels[:, None] == np.arange(3), 1.0, -1.0)
        logits = calibrate(scores, labels, np.ones(n))[0] * scores[0]
        probability = np.exp(logits[0]) / np.exp(logits).sum()
        assert abs(probability - (1 - 1 / (n + 2))) < 0.01


def test_linear_mapping_starts_at_the_ridge_solution(problem):
    x, weights, labels = problem
    mapping = LinearMapping([(x.shape[1], 1)], 3)
    mapping.solve(x, labels, weights)
    mean = weights @ x / weights.sum()
    z = (x - mean) / np.sqrt(weights @ (x - mean) ** 2 / weights.sum())
    z = np.clip(z, -STANDARDISED_LIMIT, STANDARDISED_LIMIT)
    ridge = solve_ridge(z, labels, weights, 3)
    logits = mapping.sharpness.item() * (z @ ridge.coef + ridge.intercept)
    expected = torch.log_softmax(torch.from_numpy(logits), dim=1)
    torch.testing.assert_close(mapping(torch.from_numpy(x)).detach(), expected, atol=1e-6, rtol=1e-6)


def test_a_value_far_outside_of_training_is_bounded(problem):
    x, weights, labels = problem
    x[:, 5] = 1.0 + 1e-3 * x[:, 5]
    mapping = LinearMapping([(x.shape[1], 1)], 3)
    mapping.solve(x, labels, weights)
    outside = torch.from_numpy(x[:1].copy())
    outside[0, 5] = 50.0
    far = outside.clone()
    far[0, 5] = 5000.0
    torch.testing.assert_close(mapping(outside), mapping(far))


def test_each_waveform_counts_the_same(problem):
    """A model's values given twice, as if it had more of them, are no more than another's given twice."""
    x, weights, labels = problem
    half = x.shape[1] // 2
    first, second = x[:, :half], x[:, half : 2 * half]

    def log_probabilities(parts, groups):
        mapping, values = LinearMapping(groups, 3), np.hstack(parts)
        mapping.solve(values, labels, weights)
        return mapping(torch.from_numpy(values)).detach()

    one = log_probabilities([first, first, second], [(2 * half, 1), (half, 1)])
    other = log_probabilities([first, second, second], [(half, 1), (2 * half, 1)])
    unequal = log_probabilities([first, first, second], [(2 * half, 3), (half, 1)])
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
    assert not torch.allclose(one, unequal, atol=1e-3)
