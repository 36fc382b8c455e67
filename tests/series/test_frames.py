"""Frames with a two-level index: the order of cases, times and channels, of labels beside them; as a collection."""

import warnings
from datetime import date, time, timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

from v2s_sklearn import V2SClassifier, V2SFeatures, from_long_frame
from v2s_sklearn.errors import InvalidSeriesError


def convert(X):
    """Return what an estimator's fit sees of X."""
    return V2SFeatures("tiny").reset()._preprocess_collection(X)


def long_frame(cases, ids=None, names=None):
    """Return series (C, T_i) as a frame with an index of two levels."""
    ids = range(len(cases)) if ids is None else ids
    index = [(one, time) for one, case in zip(ids, cases, strict=True) for time in range(case.shape[1])]
    return pd.DataFrame(np.hstack(cases).T, index=pd.MultiIndex.from_tuples(index), columns=names)


def test_cases_keep_the_order_in_which_they_appear():
    rng = np.random.default_rng(0)
    cases = [rng.normal(size=(2, n)) for n in (4, 3, 4, 2)]
    for ids in (["c", "a", "d", "b"], [7, 3, 12, 1], pd.to_datetime(["2022", "2020", "2023", "2021"])):
        frame = long_frame(cases, ids)
        shuffled = frame.sample(frac=1, random_state=0)  # rows of a case are apart, and its times in disorder
        order = [list(ids).index(one) for one in shuffled.index.get_level_values(0).unique()]
        for X, expected in ((frame, cases), (shuffled, [cases[i] for i in order])):
            for found, case in zip(convert(X), expected, strict=True):
                np.testing.assert_array_equal(found, case)


def test_parts_of_a_frame_are_cases(gunpoint):
    X, y = gunpoint[0][::3], gunpoint[1][::3]
    frame = long_frame(X, [f"case {i}" for i in range(len(X))])
    ids = frame.index.levels[0]
    for part in (
        frame.loc[ids[3:9]],
        frame[frame.index.get_level_values(0).isin(ids[3:9])],
        next(iter(frame.groupby(level=0)))[1],
    ):
        assert len(convert(part)) == part.index.get_level_values(0).nunique()
    labels = pd.Series(y, index=[f"case {i}" for i in range(len(X))])
    clf = V2SClassifier("tiny", random_state=0).fit(X, y)
    for order in (labels.sample(frac=1, random_state=1), labels):
        by_index = V2SClassifier("tiny", random_state=0).fit(frame, order, sample_weight=order.astype(float))
        weighted = V2SClassifier("tiny", random_state=0).fit(X, y, sample_weight=y.astype(float))
        np.testing.assert_array_equal(by_index.predict_proba(X), weighted.predict_proba(X))
        assert by_index.score(frame, order) == weighted.score(X, y)
    with pytest.warns(UserWarning, match="y has no index with the ids of X"):  # other ids: taken as they stand
        in_order = V2SClassifier("tiny", random_state=0).fit(frame, pd.Series(y))
    np.testing.assert_array_equal(in_order.predict_proba(frame), clf.predict_proba(X))


def test_columns_are_those_of_fit():
    rng = np.random.default_rng(0)
    frame = long_frame([rng.normal(size=(2, 6)) for _ in range(8)], names=["speed", "angle"])
    clf = V2SClassifier("tiny", random_state=0).fit(frame, [0, 1] * 4)
    expected = clf.predict_proba(frame)
    np.testing.assert_array_equal(clf.predict_proba(frame[["angle", "speed"]]), expected)
    np.testing.assert_array_equal(clf.predict_proba(convert(frame)), expected)
    with pytest.raises(InvalidSeriesError, match="Did you mean 'speed' by 'sped'?"):
        clf.predict(frame.rename(columns={"speed": "sped"}))
    with pytest.raises(InvalidSeriesError, match="more.* are unknown"):
        clf.predict(frame.assign(more=0.0))
    with pytest.raises(InvalidSeriesError, match="columns of the same name"):
        convert(frame.rename(columns={"speed": "angle"}))


def test_an_index_that_is_unclear_is_refused():
    frame = long_frame([np.ones((1, 3)), np.ones((1, 2))], ["a", "b"])
    with pytest.raises(InvalidSeriesError, match="Case a of X has the time point 0 more than once"):
        convert(pd.concat([frame, frame]))
    with pytest.raises(InvalidSeriesError, match="index of X contains NaN"):
        convert(long_frame([np.ones((1, 3)), np.ones((1, 2))], ["a", np.nan]))
    with pytest.raises(InvalidSeriesError, match="3 index levels"):
        convert(pd.concat({"x": frame}))


def test_features_of_a_frame_have_its_cases_as_index():
    frame = long_frame([np.random.default_rng(i).normal(size=(1, 5)) for i in range(4)], ["d", "b", "a", "c"])
    features = V2SFeatures("tiny").set_output(transform="pandas")
    assert features.fit_transform(frame).index.tolist() == ["d", "b", "a", "c"]
    assert features.transform(frame.loc[["b", "c"]]).index.tolist() == ["b", "c"]
    assert isinstance(features.set_output(transform="default").transform(frame), np.ndarray)


def labelled(n_cases=12, seed=0):
    """Return series that differ in frequency, channels first, and their labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_cases) % 2
    return [np.sin(np.arange(20) * (0.3 + 0.4 * label) + rng.uniform(0, 6))[None] for label in y], y


TIMES = {
    "dates": [date(2020, 1, 1) + timedelta(days=day) for day in range(20)],
    "ISO text": [f"2020-{1 + month // 2:02}-{1 + 14 * (month % 2):02}" for month in range(20)],
    "Timestamps as objects": pd.Index(pd.date_range("2020", periods=20), dtype=object),
    "text that sorts otherwise": [f"t{number}" for number in range(1, 21)],
    "numbers as text": [str(number) for number in range(-9, 11)],
    "times of a day": [time(hour) for hour in range(20)],
    "ordered categories": pd.CategoricalIndex([*"qwertyuiopasdfghjklz"], [*"qwertyuiopasdfghjklz"], ordered=True),
    "periods": pd.period_range("2020", periods=20, freq="M"),
    "durations": pd.timedelta_range("0s", periods=20, freq="1s"),
    "nullable integers": pd.array(range(20), dtype="Int64"),
    "strings of pandas": pd.array([f"{number} s" for number in range(5, 105, 5)], dtype="string"),
}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_rows_in_any_order_are_sorted_whatever_their_times_are(times):
    cases, y = labelled()
    index = pd.MultiIndex.from_product([range(len(cases)), times], names=["case", "when"])
    frame = pd.DataFrame({"x": np.hstack(cases)[0]}, index=index)
    shuffled = frame.sample(frac=1, random_state=0)
    order = shuffled.index.get_level_values("case").unique().to_numpy()
    for found, expected in zip(convert(shuffled), order, strict=True):
        np.testing.assert_array_equal(found, cases[expected])
    clf = V2SClassifier("tiny", random_state=0).fit(shuffled, pd.Series(y, index=range(len(y))))
    np.testing.assert_array_equal(clf.predict_proba(shuffled), clf.predict_proba(np.stack(cases)[order]))


@pytest.mark.parametrize(
    "times",
    [[1, "b", 3], [date(2020, 1, 1), pd.Timestamp("2020-01-02"), 3], ["start", "middle", "end"], ["Jan", "Feb", "Mar"],
     ["31/01/2020", "01/02/2020", "02/03/2020"], ["t-3", "t-2", "t-1"], ["1", "01", "2"],
     [frozenset("a"), frozenset("b"), frozenset("ab")], [b"a", b"b", "c"]],
    ids=lambda times: "-".join(type(time).__name__ for time in times),
)  # fmt: skip
def test_times_without_a_certain_order_are_an_error_in_fit_and_predict(times):
    index = pd.MultiIndex.from_product([["a", "b"], times], names=["case", "when"])
    frame = pd.DataFrame({"x": np.arange(6.0)}, index=index)
    clf = V2SClassifier("tiny", random_state=0).fit(np.arange(6.0).reshape(2, 1, 3), [0, 1])
    for call in (lambda: V2SClassifier("tiny").fit(frame, [0, 1]), lambda: clf.predict(frame)):
        with pytest.raises(InvalidSeriesError, match="The time level 'when' of X holds"):
            call()


def test_labels_without_the_ids_of_unsorted_cases_are_a_warning():
    cases, y = labelled(4)
    frame = long_frame(cases, ["d", "b", "c", "a"])
    for labels in (y, y.tolist(), pd.Series(y)):
        with pytest.warns(UserWarning, match="y has no index with the ids of X.*first appear there, d, b, c"):
            clf = V2SClassifier("tiny", random_state=0).fit(frame, labels)
        with pytest.warns(UserWarning, match="y has no index"):
            clf.score(frame, labels)
    by_id = pd.Series(y, index=["d", "b", "c", "a"])
    with pytest.warns(UserWarning, match="sample_weight has no index"):
        clf.fit(frame, by_id, sample_weight=np.ones(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(frame, by_id.sort_index()).score(frame, by_id)
        clf.fit(long_frame(cases), y)
    # Labels by which aeon's own methods fit are put in order, too.
    ten = long_frame(labelled(20)[0], [f"{i:02}" for i in range(20)][::-1])
    labels = pd.Series(labelled(20)[1][::-1], index=[f"{i:02}" for i in range(20)])
    np.testing.assert_array_equal(
        V2SClassifier("tiny", random_state=0).fit_predict(ten, labels),
        V2SClassifier("tiny", random_state=0).fit_predict(np.stack(labelled(20)[0]), labelled(20)[1]),
    )


def test_a_frame_as_a_collection_is_what_searches_count():
    cases, y = labelled(16)
    ids = [f"case {number}" for number in range(16)]
    frame = long_frame(cases, ids).sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        cross_val_score(V2SClassifier("tiny"), frame, y, cv=2, error_score="raise")
    series, labels = from_long_frame(frame, pd.Series(y, index=ids))
    order = [ids.index(one) for one in frame.index.get_level_values(0).unique()]
    np.testing.assert_array_equal(series, np.stack(cases)[order])
    np.testing.assert_array_equal(labels, y[order])
    np.testing.assert_array_equal(from_long_frame(frame), series)
    assert np.isfinite(cross_val_score(V2SClassifier("tiny", random_state=0), series, labels, cv=2)).all()
    search = GridSearchCV(V2SClassifier("tiny", random_state=0), {"n_replicates": [1, 2]}, cv=2)
    assert search.fit(series, labels).predict(series).shape == (16,)
    unequal, _ = from_long_frame(long_frame([case[:, : 20 - i] for i, case in enumerate(cases)]), y)
    assert [case.shape for case in unequal] == [(1, 20 - i) for i in range(16)]
    with pytest.raises(InvalidSeriesError, match="16 cases, but y has 3 labels"):
        from_long_frame(long_frame(cases), y[:3])
    with pytest.raises(InvalidSeriesError, match="X must be a pandas DataFrame with an index of two levels"):
        from_long_frame(np.stack(cases))


@pytest.mark.parametrize(
    "times",
    [[0, 1, 2, 4], [0.0, 1.0, 2.0, 3.2], pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-06"]),
     ["t1", "t2", "t3", "t5"], [date(2020, 1, day) for day in (1, 2, 3, 9)]],
    ids=repr,
)  # fmt: skip
def test_times_that_are_not_equally_spaced_are_a_warning(times):
    cases, y = labelled(4)
    index = pd.MultiIndex.from_product([range(4), times])
    frame = pd.DataFrame({"x": np.hstack([case[:, :4] for case in cases])[0]}, index=index)
    with pytest.warns(UserWarning, match="The times of X are not equally spaced.*resample"):
        clf = V2SClassifier("tiny", random_state=0).fit(frame, y)
    with pytest.warns(UserWarning, match="The times of X are not equally spaced"):
        clf.predict(frame)


@pytest.mark.parametrize(
    "times",
    [[10, 20, 30, 40], [0, 0.34, 0.66, 1], pd.date_range("2020", periods=4, freq="MS"),
     [*"abcd"], ["2020-01", "2020-02", "2020-03", "2020-04"]],
    ids=repr,
)  # fmt: skip
def test_times_that_are_nearly_equally_spaced_are_none(times):
    index = pd.MultiIndex.from_product([range(2), times])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(pd.DataFrame({"x": np.arange(8.0)}, index=index))


def test_the_recipe_for_irregular_times_gives_gaps_that_are_filled():
    seconds = pd.to_datetime([0, 1, 2, 5], unit="s")
    index = pd.MultiIndex.from_product([["a", "b"], seconds], names=["case", "time"])
    frame = pd.DataFrame({"x": [0.0, 1, 2, 5, 0, 1, 2, 5]}, index=index)
    regular = frame.groupby(level="case").apply(lambda case: case.droplevel("case").resample("1s").mean())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(convert(regular), np.tile(np.arange(6.0), (2, 1, 1)))


def test_a_frame_may_lack_labels():
    cases = [np.random.default_rng(0).normal(size=(1, 20)) for _ in range(4)]
    _, labels = from_long_frame(long_frame(cases), ["a", None, "b", "a"])
    assert V2SClassifier("tiny").fit(np.stack(cases), labels).classes_.tolist() == ["a", "b"]
