import tracemalloc

import numpy as np
import pytest
from scipy.special import log_softmax

from v2s_sklearn.errors import NotEnoughMemoryError
from v2s_sklearn.mapping import stacking
from v2s_sklearn.mapping.embeddings import STANDARDISED_LIMIT, ComputedEmbeddings
from v2s_sklearn.mapping.ridge import platt_targets, solve_ridge
from v2s_sklearn.mapping.stacking import ridges_at_once, solve_stack, stack_bytes, stack_weights
from v2s_sklearn.runtime import memory


def make_problem(n, d, n_classes=3, seed=0):
    """Two halves of which the first tells more of the classes."""
    rng = np.random.default_rng(seed)
    labels = np.append(np.arange(n_classes), rng.integers(0, n_classes, n - n_classes))
    x = rng.normal(size=(n, d)) + 1.0
    x[:, : d // 4] += rng.normal(size=(n_classes, d // 4))[labels]
    x[:, -d // 4 :] += 0.3 * rng.normal(size=(n_classes, d // 4))[labels]
    return x.astype(np.float32), labels, rng.uniform(0.5, 3.0, n)


def halves(d):
    """All, each half and a part with gaps."""
    return [np.arange(d), np.arange(d // 2), np.arange(d // 2, d), np.arange(0, d, 5)]


def log_probabilities(stack, x):
    z = np.clip((x.astype(np.float64) - stack.mean) / stack.scale, -STANDARDISED_LIMIT, STANDARDISED_LIMIT)
    return log_softmax(z @ stack.coef + stack.intercept, axis=1)


def assert_same_answers(one, other, x, atol=1e-6):
    np.testing.assert_allclose(np.exp(log_probabilities(one, x)), np.exp(log_probabilities(other, x)), atol=atol)


def answers_of_views(n=40, n_classes=3, noise=(0.5, 1.0, 3.0)):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, n)
    scores = [2 * np.eye(n_classes)[labels] + level * rng.normal(size=(n, n_classes)) for level in noise]
    return np.array([log_softmax(score, axis=1) for score in scores]), labels, rng.uniform(0.5, 2, n)


def objective(w, answers, labels, weights):
    stacked = log_softmax(sum(share * answer for share, answer in zip(w, answers, strict=True)), axis=1)
    entropy = -(platt_targets(labels, stacked.shape[1]) * stacked).sum(axis=1)
    return np.average(entropy, weights=weights) + len(w) / len(labels) * ((w - 1 / len(w)) ** 2).sum()


def test_stack_weights_are_the_best_of_those_allowed():
    problem = answers_of_views()
    best = stack_weights(*problem)
    assert best.min() >= 0.1 / 3 - 1e-12
    assert best[0] > best[1] > best[2]
    rng = np.random.default_rng(1)
    near = [np.maximum(best + rng.normal(scale=scale, size=3), 0.1 / 3) for scale in [0.01] * 50 + [0.3] * 50]
    assert objective(best, *problem) <= min(objective(w, *problem) for w in near)


def test_a_view_that_misleads_keeps_the_least_weight():
    answers, labels, weights = answers_of_views(n=2000, noise=(1.0, 1.0))
    answers[1] = answers[1][:, [1, 2, 0]]
    assert stack_weights(answers, labels, weights)[1] == pytest.approx(0.05)


def test_stack_weights_without_anything_to_choose_them_by():
    answers, labels, weights = answers_of_views()
    np.testing.assert_allclose(stack_weights(answers[:, :0], labels[:0], weights[:0]), 1 / 3)
    np.testing.assert_allclose(stack_weights(answers[:, :, :1], 0 * labels, weights), 1 / 3)
    assert stack_weights(answers[:1], labels, weights) == [1.0]


@pytest.mark.parametrize("shape", [(30, 80), (90, 20)], ids=["wide", "tall"])
def test_a_stack_of_one_view_is_its_ridge(shape):
    x, labels, weights = make_problem(*shape)
    stack = solve_stack(x, [np.arange(shape[1])], labels, weights, 3)
    mean = np.average(x.astype(np.float64), axis=0, weights=weights)
    scale = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
    z = np.clip((x - mean) / scale, -STANDARDISED_LIMIT, STANDARDISED_LIMIT)
    ridge = solve_ridge(z, labels, weights, 3)
    np.testing.assert_allclose(stack.coef, ridge.sharpness * ridge.coef, rtol=1e-6)
    np.testing.assert_allclose(stack.intercept, ridge.sharpness * ridge.intercept, rtol=1e-6)
    assert stack.stack_weights.tolist() == [1.0]


@pytest.mark.parametrize("shape", [(60, 160), (60, 100), (150, 60)], ids=["wide", "mixed", "tall"])
def test_few_cases_are_held_whatever_the_limit(shape):
    n, d = shape
    x, labels, weights = make_problem(n, d)
    held = solve_stack(x, halves(d), labels, weights, 3)
    for block_cases in (1, 7, 64, 1000):
        embeddings, read = counted(x, block_cases)
        stack = solve_stack(embeddings, halves(d), labels, weights, 3, limit_bytes=1)
        assert sorted(read) == list(range(n))
        assert_same_answers(stack, held, x)
        np.testing.assert_allclose(stack.stack_weights, held.stack_weights, atol=1e-5)


def counted(x, block_cases):
    """Embeddings of a table that are computed, and a list of the cases that were."""
    read = []

    def compute(index):
        read.extend(index)
        return x[index]

    return ComputedEmbeddings(compute, *x.shape, block_cases), read


@pytest.mark.parametrize("shape", [(150, 300), (150, 60)], ids=["wide", "tall"])
def test_many_cases_are_answered_as_by_the_exact_solution(shape, monkeypatch):
    """Held, by the Gram matrices of the cases, and in blocks, by those of the features."""
    n, d = shape
    x, labels, weights = make_problem(2 * n, d)
    fitted, new = np.arange(n), x[n:]
    exact = solve_stack(x[fitted], halves(d), labels[fitted], weights[fitted], 3)
    monkeypatch.setattr(stacking, "EXACT_CASES", 100)
    for limit_bytes in (1, 8 * n * d):
        embeddings, _ = counted(x[fitted], 32)
        stack = solve_stack(embeddings, halves(d), labels[fitted], weights[fitted], 3, limit_bytes)
        assert_same_answers(stack, exact, new, atol=0.1)
        np.testing.assert_allclose(stack.stack_weights, exact.stack_weights, atol=0.1)


@pytest.mark.parametrize("statistics_cases", [2000, 40])
def test_how_often_many_cases_are_computed(statistics_cases, monkeypatch):
    monkeypatch.setattr(stacking, "EXACT_CASES", 100)
    monkeypatch.setattr(stacking, "STATISTICS_CASES", statistics_cases)
    n, d = 150, 60
    x, labels, weights = make_problem(n, d)
    embeddings, read = counted(x, 32)
    solve_stack(embeddings, halves(d), labels, weights, 3, n * d * 8)
    assert sorted(read) == list(range(n))  # held: once
    read.clear()
    solve_stack(embeddings, halves(d), labels, weights, 3, n * d * 8 - 1)
    # Once for the Gram matrices; those that give the statistics once more.
    n_twice = min(n, statistics_cases)
    assert np.bincount(np.bincount(read)).tolist() == [0, n - n_twice, n_twice]


def test_some_cases_for_the_statistics_are_enough(monkeypatch):
    n, d = 1500, 20
    x, labels, weights = make_problem(n, d)
    monkeypatch.setattr(stacking, "EXACT_CASES", 1000)
    every = solve_stack(x, halves(d), labels, weights, 3)
    monkeypatch.setattr(stacking, "STATISTICS_CASES", 500)
    some = solve_stack(x, halves(d), labels, weights, 3)
    assert not np.array_equal(every.mean, some.mean)
    assert_same_answers(every, some, x, atol=0.1)


@pytest.mark.parametrize("shape", [(30, 80), (90, 20)], ids=["wide", "tall"])
@pytest.mark.parametrize("factor", [1e-300, 1e307])
def test_only_ratios_of_weights_matter(shape, factor):
    x, labels, weights = make_problem(*shape)
    one, other = (solve_stack(x, halves(shape[1]), labels, w, 3) for w in (weights, weights * factor))
    np.testing.assert_allclose(one.coef, other.coef, atol=1e-9)


@pytest.mark.parametrize("shape", [(40, 80), (90, 20)], ids=["wide", "tall"])
@pytest.mark.parametrize("tiny", [1e-30, 1e-300, 5e-324])
def test_a_case_with_next_to_no_weight_is_as_if_absent(shape, tiny):
    x, labels, weights = make_problem(*shape)
    weights[7] = tiny
    rest = np.arange(len(x)) != 7
    with_it = solve_stack(x, halves(shape[1]), labels, weights, 3)
    without = solve_stack(x[rest], halves(shape[1]), labels[rest], weights[rest], 3)
    # Platt's targets know the number of cases.
    assert_same_answers(with_it, without, x, atol=0.05)
    np.testing.assert_allclose(with_it.mean, without.mean, rtol=1e-6)


def test_fifty_two_classes_of_two_and_a_class_of_one_case():
    labels = np.append(np.repeat(np.arange(51), 2), 51)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(52, 200))
    x = (centres[labels] + 0.7 * rng.normal(size=(len(labels), 200))).astype(np.float32)
    stack = solve_stack(x, halves(200), labels, np.ones(len(labels)), 52)
    new = (centres + 0.7 * rng.normal(size=centres.shape)).astype(np.float32)
    answer = log_probabilities(stack, new)
    assert np.isfinite(answer).all()
    assert (answer.argmax(axis=1) == np.arange(52)).mean() > 0.9
    assert stack.stack_weights.min() >= 0.1 / 4 - 1e-12


def test_one_case_a_class_weighs_the_views_equally():
    x, labels, weights = make_problem(5, 40, n_classes=5)
    stack = solve_stack(x, halves(40), labels, weights, 5)
    np.testing.assert_allclose(stack.stack_weights, 0.25)
    assert (log_probabilities(stack, x).argmax(axis=1) == labels).all()


def test_a_single_class_is_certain():
    x, labels, weights = make_problem(12, 40)
    stack = solve_stack(x, halves(40), 0 * labels, weights, 1)
    np.testing.assert_array_equal(log_probabilities(stack, x), 0)


def test_two_cases_a_class_do_not_silence_the_views():
    x, _, weights = make_problem(6, 40)
    stack = solve_stack(x, halves(40), np.array([0, 1, 2, 0, 1, 2]), weights, 3)
    assert stack.stack_weights.min() >= 0.1 / 4 - 1e-12
    assert stack.coef.any()


@pytest.mark.parametrize("shape", [(30, 80), (90, 20)], ids=["wide", "tall"])
def test_a_view_in_which_nothing_varies_has_no_weight(shape):
    x, labels, weights = make_problem(*shape)
    d = shape[1]
    x[:, : d // 2] = 3.25
    groups = [np.arange(d // 2), np.arange(d // 2, d), np.arange(d // 2, d, 2)]
    stack = solve_stack(x, groups, labels, weights, 3)
    assert stack.stack_weights[0] == 0
    assert (stack.alpha[0], stack.sharpness[0]) == (0, 1)
    assert not stack.coef[: d // 2].any()
    without = solve_stack(x, groups[1:], labels, weights, 3)
    np.testing.assert_allclose(stack.coef, without.coef, atol=1e-12)


@pytest.mark.parametrize("shape", [(30, 80), (90, 20)], ids=["wide", "tall"])
def test_where_nothing_varies_frequent_classes_are_more_likely(shape):
    x, labels, _ = make_problem(*shape)
    labels = np.minimum(np.arange(len(labels)) % 6, 2)  # 1/6, 1/6, 2/3
    stack = solve_stack(np.full_like(x, 3.25), halves(shape[1]), labels, np.ones(len(x)), 3)
    np.testing.assert_allclose(stack.stack_weights, 0.25, rtol=0.01)
    low, also_low, high = np.exp(log_probabilities(stack, np.full_like(x, 3.25))[0])
    assert low == pytest.approx(also_low)
    assert high > low + 0.1


def test_memory_is_asked_for_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * 10**8)

    def compute(index):
        raise AssertionError("computed")

    embeddings = ComputedEmbeddings(compute, 10**6, 20_000)
    groups = [np.arange(20_000)]
    with pytest.raises(NotEnoughMemoryError, match=r"1000000 cases with 20000 embedding values to 9 classes.*Fit on"):
        solve_stack(embeddings, groups, np.arange(10**6) % 9, np.ones(10**6), 9)


def assert_same_bits(one, other):
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


@pytest.mark.parametrize("exact_cases", [1500, 100])
@pytest.mark.parametrize(
    ("n", "d", "limit_bytes"), [(150, 300, 2**30), (150, 60, 2**30), (150, 300, 1)], ids=["wide", "tall", "in blocks"]
)
def test_ridges_side_by_side_have_the_same_bits(n, d, limit_bytes, exact_cases, monkeypatch):
    monkeypatch.setattr(stacking, "EXACT_CASES", exact_cases)
    x, labels, weights = make_problem(n, d)
    stacks = [
        solve_stack(counted(x, 32)[0], halves(d), labels, weights, 3, limit_bytes, n_jobs) for n_jobs in (None, 2, -1)
    ]
    for stack in stacks[1:]:
        assert_same_bits(stack, stacks[0])


def test_as_many_ridges_at_a_time_as_there_is_memory_for(monkeypatch):
    sizes = 1000, 2000, halves(2000), 3
    bytes_of = [stack_bytes(*sizes, n_at_once=number) for number in range(1, 5)]
    assert bytes_of == sorted(bytes_of)
    for number, n_bytes in enumerate(bytes_of, 1):
        monkeypatch.setattr(memory, "available_bytes", lambda n_bytes=n_bytes: n_bytes)
        assert ridges_at_once(*sizes, n_jobs=100) == number
        assert ridges_at_once(*sizes, n_jobs=2) == min(number, 2)
        assert ridges_at_once(*sizes) == 1
    monkeypatch.setattr(memory, "available_bytes", lambda: bytes_of[0] - 1)
    with pytest.raises(NotEnoughMemoryError):
        ridges_at_once(*sizes, n_jobs=2)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    assert ridges_at_once(*sizes, n_jobs=100) == 4  # no more than there are


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("exact_cases", [1500, 0])
@pytest.mark.parametrize(
    ("n", "d", "limit_bytes"), [(700, 3000, 2**30), (1400, 700, 2**30), (3000, 700, 2**30), (3000, 700, 2**20)]
)
def test_bytes_are_about_those_taken(n, d, limit_bytes, exact_cases, n_jobs, monkeypatch):
    monkeypatch.setattr(stacking, "EXACT_CASES", exact_cases)
    x, labels, weights = make_problem(n, d)
    embeddings = ComputedEmbeddings(lambda index: x[index], n, d)
    tracemalloc.start()
    solve_stack(embeddings, halves(d), labels, weights, 3, limit_bytes, n_jobs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.6 < stack_bytes(n, d, halves(d), 3, limit_bytes, n_jobs) / peak < 1.7
