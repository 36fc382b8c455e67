import numpy as np
import pytest

from v2s_sklearn.mapping import gram, many_cases
from v2s_sklearn.mapping.embeddings import ArrayEmbeddings, ComputedEmbeddings, StandardisedEmbeddings
from v2s_sklearn.mapping.gram import SignedSums, sum_moments
from v2s_sklearn.mapping.many_cases import FEW_STRENGTHS, is_of_cases, solve_ridges, walk_down
from v2s_sklearn.mapping.ridge import calibrate, solve_ridge


@pytest.fixture(params=[(60, 150), (60, 50), (120, 25)], ids=["wide", "nearly square", "tall"])
def problem(request):
    n, d = request.param
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, n)
    x = 0.5 * rng.normal(size=(n, d))
    x[:, :3] += np.eye(3)[labels]
    return np.clip(x, -2, 2), labels, rng.uniform(0.5, 3.0, n)


def values_of(x, block_cases=None, held=True):
    embeddings = ArrayEmbeddings(x) if held else ComputedEmbeddings(lambda index: x[index], *x.shape, block_cases)
    return StandardisedEmbeddings(embeddings, np.zeros(x.shape[1]), np.ones(x.shape[1]))


def groups_of(x):
    """All, a half, a part with gaps, few."""
    d = x.shape[1]
    return [np.arange(d), np.arange(d // 2), np.arange(0, d, 3), np.arange(2, 6)]


def assert_same(one, other, atol=2e-3):
    """To single precision: a thousandth of a decision value."""
    np.testing.assert_allclose(one.loo_scores, other.loo_scores, atol=atol)
    np.testing.assert_allclose(one.coef, other.coef, atol=atol)
    np.testing.assert_allclose(one.intercept, other.intercept, atol=atol)
    assert one.alpha == pytest.approx(other.alpha, rel=1e-4)
    assert one.sharpness == pytest.approx(other.sharpness, rel=0.02)


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("strength", FEW_STRENGTHS[[0, 3, 6, 9]])
def test_one_strength_is_solved_as_by_the_eigen_decomposition(problem, strength, held):
    """By the Gram matrix of the cases, and by that of the features."""
    x, labels, weights = problem
    groups, strengths = groups_of(x), np.array([strength])
    ridges = solve_ridges(values_of(x, 7, held), groups, labels, weights, 3, np.arange(len(x)), strengths)
    for ridge, columns in zip(ridges, groups, strict=True):
        # The least strength leaves fewest digits.
        assert_same(ridge, solve_ridge(x[:, columns], labels, weights, 3, strengths), 0.05 if strength < 1e-5 else 2e-3)


@pytest.mark.parametrize("held", [True, False])
def test_scored_cases_are_left_out_of_all(problem, held):
    x, labels, weights = problem
    index = np.arange(1, len(x), 4)
    strengths, groups = np.array([1e-3]), groups_of(x)
    every = solve_ridges(values_of(x, 7, held), groups, labels, weights, 3, np.arange(len(x)), strengths)
    some = solve_ridges(values_of(x, 7, held), groups, labels, weights, 3, index, strengths)
    for one, other in zip(some, every, strict=True):
        np.testing.assert_allclose(one.loo_scores, other.loo_scores[index], atol=1e-3)
        np.testing.assert_allclose(one.coef, other.coef, atol=1e-3)
        assert one.sharpness == calibrate(one.loo_scores, labels[index], weights[index])[0]


def test_the_strength_has_no_better_neighbour(problem):
    x, labels, weights = problem
    (ridge,) = solve_ridges(values_of(x), [np.arange(x.shape[1])], labels, weights, 3, np.arange(len(x)))
    each = [solve_ridge(x, labels, weights, 3, FEW_STRENGTHS[[i]]) for i in range(len(FEW_STRENGTHS))]
    losses = [calibrate(one.loo_scores, labels, weights)[1] for one in each]
    place = np.argmin([abs(np.log(one.alpha / ridge.alpha)) for one in each])
    assert losses[place] <= min(losses[max(place - 1, 0) : place + 2]) + 1e-3


def test_sums_of_features_answer_about_as_the_features_do(monkeypatch):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    x = np.clip(0.5 * rng.normal(size=(600, 400)) + 0.2 * rng.normal(size=(3, 400))[labels], -2, 2)
    values, groups = values_of(x[:400], 50, held=False), [np.arange(400)]
    train, weights = labels[:400], np.ones(400)
    (exact,) = solve_ridges(values, groups, train, weights, 3, np.arange(400))
    monkeypatch.setattr(many_cases, "SignedSums", lambda columns: gram.SignedSums(columns, 200))
    (summed,) = solve_ridges(values, groups, train, weights, 3, np.arange(400))
    assert summed.coef.shape == (400, 3)
    right = [((x[400:] @ ridge.coef + ridge.intercept).argmax(1) == labels[400:]).mean() for ridge in (exact, summed)]
    assert min(right) > 0.9
    # Halves of a sum have the same coefficient but for the sign.
    assert len(np.unique(np.abs(summed.coef[:, 0]))) == 200


def test_a_strength_below_the_rounding_is_passed_over(problem):
    """Of features that are copies of one, in single precision, the weakest penalty is lost."""
    x, labels, weights = problem
    copies = np.repeat(x[:, :1], 300, axis=1)
    strengths = np.array([0.0, 1e-12, 1e-3])
    (ridge,) = solve_ridges(
        values_of(copies, 7, held=False), [np.arange(300)], labels, weights, 3, np.arange(len(x)), strengths
    )
    assert np.isfinite(ridge.coef).all()
    expected = solve_ridge(copies, labels, weights, 3, strengths[2:])
    np.testing.assert_allclose(ridge.coef.sum(axis=0), expected.coef.sum(axis=0), rtol=1e-3)


@pytest.mark.parametrize("held", [True, False])
def test_features_without_variance_give_the_shares_of_the_classes(problem, held):
    x, labels, weights = problem
    x = np.zeros_like(x)
    (ridge,) = solve_ridges(values_of(x, 7, held), [np.arange(x.shape[1])], labels, weights, 3, np.arange(len(x)))
    assert not ridge.coef.any()
    np.testing.assert_allclose(ridge.intercept, 2 * np.bincount(labels, weights) / weights.sum() - 1)


@pytest.mark.parametrize("held", [True, False])
def test_a_case_with_next_to_no_weight_is_as_if_absent(problem, held):
    x, labels, weights = problem
    weights[7] = 1e-200
    rest, strengths = np.arange(len(x)) != 7, np.array([1e-3])
    groups, index = [np.arange(x.shape[1])], np.arange(len(x))
    (with_it,) = solve_ridges(values_of(x, 7, held), groups, labels, weights, 3, index, strengths)
    without = solve_ridge(x[rest], labels[rest], weights[rest], 3, strengths)
    assert np.isfinite(with_it.loo_scores).all()
    np.testing.assert_allclose(with_it.loo_scores[rest], without.loo_scores, atol=2e-3)
    np.testing.assert_allclose(with_it.coef, without.coef, atol=2e-3)


def test_which_matrix_is_taken():
    assert is_of_cases(3000, 4920, held=True)
    assert not is_of_cases(3000, 4920, held=False)
    assert not is_of_cases(3000, 1216, held=True)
    assert not is_of_cases(many_cases.MAX_ROWS + 1, 9000, held=True)


@pytest.mark.parametrize("lowest", range(7))
@pytest.mark.parametrize("start", [0, 3, 6])
def test_the_walk_ends_at_the_bottom_and_asks_once(lowest, start):
    asked = []

    def loss_at(place):
        asked.append(place)
        return abs(place - lowest)

    assert walk_down(loss_at, 7, start) == lowest
    assert len(asked) == len(set(asked)) <= abs(start - lowest) + 3
    assert walk_down(lambda place: 0.0, 7, start) == start


GROUPS = [np.arange(12), np.arange(1, 12, 2), np.arange(15, 60), np.arange(5, 20)]


@pytest.mark.parametrize("max_sums", [10, 1000])
@pytest.mark.parametrize("block_cases", [1, 4, 100])
def test_moments_are_those_of_centred_weighted_sums(block_cases, max_sums):
    rng = np.random.default_rng(0)
    x, weights, residuals = rng.normal(size=(21, 60)), rng.uniform(0.5, 2, 21), rng.normal(size=(21, 3))
    sums, index = [SignedSums(columns, max_sums) for columns in GROUPS], np.array([0, 3, 4, 20])
    for one, found in zip(
        sums, sum_moments(ArrayEmbeddings(x, block_cases), sums, weights, residuals, index), strict=True
    ):
        summed = one.of(x)
        mean = np.average(summed, axis=0, weights=weights)
        weighted = (summed - mean) * np.sqrt(weights)[:, None]
        np.testing.assert_allclose(found.mean, mean, atol=1e-5)
        np.testing.assert_allclose(found.cross, summed.T @ residuals, atol=1e-4)
        np.testing.assert_allclose(found.scored, (summed - mean)[index], atol=1e-5)
        np.testing.assert_allclose(np.tril(found.gram), np.tril(weighted.T @ weighted), atol=1e-3)
        assert found.gram.dtype == found.scored.dtype == np.float32
        assert found.gram.flags.f_contiguous


def test_cases_are_read_once():
    table, read = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32), []

    def compute(index):
        read.extend(index)
        return table[index]

    sums = [SignedSums(np.arange(30)), SignedSums(np.arange(10))]
    sum_moments(ComputedEmbeddings(compute, 20, 30, 7), sums, np.ones(20), np.zeros((20, 2)), np.arange(20))
    assert read == list(range(20))


def test_few_features_are_themselves():
    values = np.arange(12.0).reshape(2, 6)
    one = SignedSums(np.array([0, 2, 3]), 3)
    np.testing.assert_array_equal(one.of(values), values[:, [0, 2, 3]])
    np.testing.assert_array_equal(one.spread(np.eye(3)), np.eye(3))


@pytest.mark.parametrize(("n_features", "n_sums"), [(100, 50), (101, 50), (101, 33), (101, 100)])
def test_each_feature_is_in_one_sum_with_a_sign(n_features, n_sums):
    columns = np.arange(0, 2 * n_features, 2)
    one = SignedSums(columns, n_sums)
    matrix = one.of(np.eye(2 * n_features, dtype=np.float32))
    assert not matrix[1::2].any()
    assert (np.abs(matrix[columns]).sum(axis=1) == 1).all()
    sizes = np.abs(matrix).sum(axis=0)
    assert sizes.min() >= n_features // n_sums
    assert sizes.max() <= -(-n_features // n_sums)
    # What the coefficients of the sums make of a case is what those of the features make of it.
    coef, case = (
        np.random.default_rng(0).normal(size=(n_sums, 2)),
        np.random.default_rng(1).normal(size=(1, 2 * n_features)),
    )
    np.testing.assert_allclose(case[:, columns] @ one.spread(coef), one.of(case) @ coef)


def test_sums_keep_products_of_cases_and_are_drawn_alike_each_time():
    x = np.random.default_rng(0).normal(size=(30, 4000))
    summed = SignedSums(np.arange(4000), 2000).of(x)
    exact, kept = x @ x.T, summed @ summed.T
    assert np.abs(kept - exact).max() < 0.15 * exact.max()
    np.testing.assert_array_equal(summed, SignedSums(np.arange(4000), 2000).of(x))
