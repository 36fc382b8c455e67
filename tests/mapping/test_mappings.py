import numpy as np
import pytest
import torch

from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.mapping.mappings import (
    STANDARDISED_LIMIT,
    LinearMapping,
    ManyToOneMapping,
    frequency_mapping,
    random_mapping,
)
from v2s_sklearn.mapping.ridge import solve_ridge
from v2s_sklearn.mapping.stacking import solve_stack


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


def test_of_one_view_linear_mapping_starts_at_the_ridge_solution(problem):
    x, weights, labels = problem
    mapping = LinearMapping([("all", slice(0, x.shape[1]))], 3)
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
    mapping = LinearMapping([("all", slice(0, x.shape[1]))], 3)
    mapping.solve(x, labels, weights)
    outside = torch.from_numpy(x[:1].copy())
    outside[0, 5] = 50.0
    far = outside.clone()
    far[0, 5] = 5000.0
    torch.testing.assert_close(mapping(outside), mapping(far))


def test_cases_without_label_tell_how_the_embeddings_vary(problem):
    x, weights, labels = problem
    unlabelled, columns = np.arange(len(x)) % 3 == 0, [np.arange(x.shape[1])]
    mapping = LinearMapping([("all", columns[0])], 3)
    mapping.solve(x, np.where(unlabelled, -1, labels), weights)
    mean = np.average(x, axis=0, weights=weights)
    np.testing.assert_allclose(mapping.mean, mean)
    np.testing.assert_allclose(mapping.scale, np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights)))
    known = ~unlabelled
    moments = mapping.mean.numpy(), mapping.scale.numpy()
    stack = solve_stack(x[known], columns, labels[known], weights[known], 3, moments=moments)
    np.testing.assert_array_equal(mapping.weight.detach(), stack.coef)
    # Where there is nothing to hold, the same.
    again = LinearMapping([("all", columns[0])], 3)
    again.solve(x, np.where(unlabelled, -1, labels), weights, limit_bytes=1)
    np.testing.assert_array_equal(again.weight.detach(), mapping.weight.detach())


def views(x):
    d = x.shape[1]
    return [("both", slice(0, d)), ("first", slice(0, d // 2)), ("second", slice(d // 2, d)), ("third", range(0, d, 3))]


def test_linear_mapping_answers_like_the_weighted_sum_of_the_views(problem):
    x, weights, labels = problem
    mapping = LinearMapping(views(x), 3)
    mapping.solve(x, labels, weights)
    z = (x - mapping.mean.numpy()) / mapping.scale.numpy()
    z = np.clip(z, -STANDARDISED_LIMIT, STANDARDISED_LIMIT)
    stacked = torch.zeros(len(x), 3, dtype=torch.float64)
    for position, columns in enumerate((slice(None), slice(None, x.shape[1] // 2), slice(x.shape[1] // 2, None))):
        ridge = solve_ridge(z[:, columns], labels, weights, 3)
        scores = torch.from_numpy(z[:, columns] @ ridge.coef + ridge.intercept)
        assert mapping.alpha[position].item() == pytest.approx(ridge.alpha)
        stacked += mapping.stack_weights[position] * torch.log_softmax(mapping.sharpness[position] * scores, dim=1)
    ridge = solve_ridge(z[:, ::3], labels, weights, 3)
    scores = torch.from_numpy(z[:, ::3] @ ridge.coef + ridge.intercept)
    stacked += mapping.stack_weights[3] * torch.log_softmax(mapping.sharpness[3] * scores, dim=1)
    expected = torch.log_softmax(stacked, dim=1)
    torch.testing.assert_close(mapping(torch.from_numpy(x)).detach(), expected, atol=1e-6, rtol=1e-6)


def test_linear_mapping_says_what_it_chose(problem):
    x, weights, labels = problem
    mapping = LinearMapping(views(x), 3)
    mapping.solve(x, labels, weights)
    assert mapping.group_names == ("both", "first", "second", "third")
    columns = [np.arange(x.shape[1])[part if isinstance(part, slice) else list(part)] for _, part in views(x)]
    stack = solve_stack(x, columns, labels, weights, 3)
    for name in ("alpha", "sharpness", "stack_weights"):
        np.testing.assert_array_equal(getattr(mapping, name).numpy(), getattr(stack, name))
    assert mapping.mapping_numpy().shape == (x.shape[1], 3)


def test_values_of_no_view_are_not_read(problem):
    x, weights, labels = problem
    mapping = LinearMapping([("some", slice(2, 9))], 3, n_features=x.shape[1])
    mapping.solve(x, labels, weights)
    other = x.copy()
    other[:, :2] = 99.0
    torch.testing.assert_close(mapping(torch.from_numpy(x)), mapping(torch.from_numpy(other)))
    assert mapping.weight[2:9].abs().min() > 0


def test_the_state_of_a_linear_mapping_is_restored(problem):
    x, weights, labels = problem
    mapping, restored = LinearMapping(views(x), 3), LinearMapping(views(x), 3)
    mapping.solve(x, labels, weights)
    restored.load_state_dict(mapping.state_dict())
    torch.testing.assert_close(restored(torch.from_numpy(x)), mapping(torch.from_numpy(x)), rtol=0, atol=0)
    assert torch.equal(restored.stack_weights, mapping.stack_weights)
