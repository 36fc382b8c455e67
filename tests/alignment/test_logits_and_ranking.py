import numpy as np
import pytest

from v2s_sklearn import V2SClassifier, list_acoustic_models, load_acoustic_model
from v2s_sklearn.acoustic.storage import WEIGHTS_DIR
from v2s_sklearn.alignment import (
    CRITERIA,
    labelled_information,
    load_source_logits,
    rank_acoustic_models,
    sliced_wasserstein,
    target_logits,
    target_risk_bound,
)
from v2s_sklearn.alignment import logits as logits_module
from v2s_sklearn.alignment.logits import SourceLogits, save_source_logits
from v2s_sklearn.alignment.ranking import leave_one_out_log_loss
from v2s_sklearn.errors import InvalidParameterError, WeightsError

PACKAGED = sorted(path.stem for path in WEIGHTS_DIR.glob("*.safetensors"))


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_logits(name):
    logits, labels = load_source_logits(name)
    model = load_acoustic_model(name)
    assert logits.shape == (len(labels), model.n_classes)
    assert 50 <= len(labels) <= 400
    assert set(labels) == set(range(model.n_classes))
    assert (logits.argmax(axis=1) == labels).mean() > 5 / model.n_classes


def test_models_at_half_rate_and_from_a_pickle_have_the_same_logits():
    model = load_acoustic_model("v2sa")
    assert load_source_logits(model.at_half_rate()) is load_source_logits("v2sa")


def test_logits_of_other_weights_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "logits.safetensors"
    monkeypatch.setattr(logits_module, "LOGITS_FILE", path)
    given = SourceLogits(np.random.default_rng(0).normal(size=(4, 36)), np.arange(4))
    digest = load_acoustic_model("v2st").source.sha256
    save_source_logits(path, {"v2sa": (given, "0" * 64), "v2st": (given, digest)})
    with pytest.raises(WeightsError, match="made with weights of sha256 0000.*pretrain.source_logits v2sa"):
        load_source_logits("v2sa")
    np.testing.assert_allclose(load_source_logits("v2st").logits, given.logits, atol=2e-3)  # half precision
    np.testing.assert_array_equal(load_source_logits("v2st").labels, given.labels)


def test_target_logits_are_those_of_the_network(gunpoint):
    X, y = gunpoint[:2]
    clf = V2SClassifier.icml2021(max_epochs=1, random_state=0).fit(X, y)
    logits = target_logits(clf, X)
    source = np.exp(logits - logits.max(axis=1, keepdims=True))
    target = np.stack([source[:, words].mean(axis=1) for words in clf.label_mapping_], axis=1)
    np.testing.assert_allclose(clf.predict_proba(X), target / target.sum(axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(target_logits(clf, X[:3]), logits[:3])


def test_the_table(gunpoint):
    X, y = gunpoint[0][::4], gunpoint[1][::4]
    names = ["v2sa", "v2sa-digits", "v2sa-esc10"]
    table = rank_acoustic_models(X, y, names)
    assert list(table.columns) == [*CRITERIA, "seconds"]
    assert set(table.index) == set(names)
    assert np.isfinite(table.to_numpy()).all()
    assert table["loo_log_loss"].is_monotonic_increasing
    by_information = rank_acoustic_models(X, y, names, ["mi_labelled"])
    assert by_information["mi_labelled"].is_monotonic_decreasing
    again = rank_acoustic_models(X, y, ["v2sa"])
    np.testing.assert_array_equal(again.loc["v2sa", list(CRITERIA)], table.loc["v2sa", list(CRITERIA)])

    # Each criterion by hand.
    source = load_source_logits("v2sa")
    clf = V2SClassifier.icml2021(max_epochs=5, random_state=0).fit(X, y)
    target, row = target_logits(clf, X), table.loc["v2sa"]
    np.testing.assert_allclose(row["swd_after"], sliced_wasserstein(source.logits, target))
    np.testing.assert_allclose(row["target_risk_bound"], target_risk_bound(*source, target))
    start = V2SClassifier.icml2021(max_epochs=0, random_state=0).fit(X, y)
    np.testing.assert_allclose(row["swd_before"], sliced_wasserstein(source.logits, target_logits(start, X)), rtol=1e-5)


def test_without_labels(gunpoint):
    table = rank_acoustic_models(gunpoint[0][::3], models=["v2sa", "tiny"])
    assert list(table.columns) == ["mi_unlabelled", "target_risk_bound", "swd_before", "seconds"]
    assert table.loc["tiny", ["target_risk_bound", "swd_before"]].isna().all()
    assert table["mi_unlabelled"].is_monotonic_decreasing and table["mi_unlabelled"].notna().all()
    with pytest.raises(InvalidParameterError, match="loo_log_loss.*need labels"):
        rank_acoustic_models(gunpoint[0], models=["tiny"], criteria=["loo_log_loss"])
    with pytest.raises(InvalidParameterError, match="'accuracy'.*cannot be computed"):
        rank_acoustic_models(gunpoint[0], gunpoint[1], ["tiny"], ["accuracy"])


@pytest.mark.parametrize("nothing", [[], ()])
def test_nothing_to_rank_is_an_error(nothing, gunpoint, monkeypatch):
    with pytest.raises(InvalidParameterError, match="there is nothing to rank. Give at least one source"):
        rank_acoustic_models(gunpoint[0], models=nothing)
    monkeypatch.setattr("v2s_sklearn.alignment.ranking.list_acoustic_models", lambda: list(nothing))
    with pytest.raises(InvalidParameterError, match="there is nothing to rank"):
        rank_acoustic_models(gunpoint[0])


def test_more_classes_than_words():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(11), 2)
    X = rng.normal(size=(22, 1, 30)) + y[:, None, None]
    row = rank_acoustic_models(X, y, ["v2sa-digits"], ["swd_before", "swd_after"]).iloc[0]
    assert np.isfinite(row["swd_before"]) and np.isnan(row["swd_after"])


def test_leave_one_out_log_loss():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 40)
    noise = rng.normal(size=(80, 30))
    signal = np.hstack([noise, 6.0 * labels[:, None]])
    assert leave_one_out_log_loss(signal, labels) < 0.2
    assert 0.6 < leave_one_out_log_loss(noise, labels) < 0.8
    assert labelled_information(signal, labels) > 0.4


def test_all_models_by_default():
    assert set(PACKAGED) <= set(list_acoustic_models())
