import numpy as np
import pytest
from sklearn.linear_model import Ridge

from v2s_sklearn.mapping.ridge import calibrate, counted_cases, platt_targets, solve_ridge


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
    assert chosen.alpha == best.alpha
    assert chosen.sharpness == pytest.approx(best.sharpness, rel=1e-9)
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


def test_calibration_minimises_the_cross_entropy_it_reports():
    rng = np.random.default_rng(0)
    labels, weights = rng.integers(0, 4, 60), rng.uniform(0.5, 2, 60)
    scores = rng.normal(size=(60, 4)) + 0.7 * np.eye(4)[labels]

    def loss(sharpness):
        probabilities = np.exp(sharpness * scores)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return -np.average((platt_targets(labels, 4) * np.log(probabilities)).sum(axis=1), weights=weights)

    sharpness, reported = calibrate(scores, labels, weights)
    assert reported == pytest.approx(loss(sharpness), rel=1e-12)
    assert reported <= min(loss(sharpness * 1.05), loss(sharpness / 1.05), loss(0.2), loss(50.0))


def test_platt_targets_are_probabilities():
    targets = platt_targets(np.array([0, 2, 2]), 3)
    np.testing.assert_allclose(targets.sum(axis=1), 1)
    np.testing.assert_allclose(targets[[0, 1, 2], [0, 2, 2]], 0.8)


def test_counted_cases_have_another_of_their_class():
    assert counted_cases(np.array([0, 1, 1, 3])).tolist() == [False, True, True, False]


def test_a_weight_is_a_number_of_copies(problem):
    x, _, labels = problem
    copies = np.arange(len(x)) % 3 + 1
    weighted = solve_at(0.3, x, labels, copies.astype(float))
    repeated = solve_at(0.3, np.repeat(x, copies, axis=0), np.repeat(labels, copies), np.ones(copies.sum()))
    np.testing.assert_allclose(weighted.coef, repeated.coef, atol=1e-9)
    np.testing.assert_allclose(weighted.intercept, repeated.intercept, atol=1e-9)
