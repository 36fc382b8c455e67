"""The comparison with plain PyTorch, the count of operations, the goals."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmarks.speed import flops, growth, minirocket, ratios
from v2s_sklearn import V2SClassifier, load_acoustic_model


@pytest.fixture(autouse=True)
def own_threads(monkeypatch):
    monkeypatch.setattr(ratios, "set_threads", lambda n_threads: None)  # this process keeps its own


@pytest.mark.parametrize("source", ["v2sa", "v2st"])
def test_plain_pytorch_has_the_same_losses_and_theta(source):
    loss, theta = ratios.check_equal(source, n_epochs=3)
    assert loss < 1e-8
    assert theta < 1e-8
    assert torch.get_default_dtype() == torch.float32


def test_plain_pytorch_predicts_the_same_until_theta_changes():
    X, y = ratios.make_collection(4, 30, 1)
    clf = ratios.paper_mode("tiny", max_epochs=0).fit(X, y)
    trainer, series = ratios.plain_rival("tiny", clf, X)
    with torch.no_grad():
        probabilities = trainer.model(series).softmax(1)
        torch.testing.assert_close(probabilities.double(), torch.tensor(clf.predict_proba(X)), rtol=0, atol=1e-6)
        trainer.model.theta.normal_(generator=torch.Generator().manual_seed(0))
        assert (trainer.model(series).softmax(1) - probabilities).abs().max() > 1e-4


def test_an_epoch_of_plain_pytorch_changes_theta_only():
    X, y = ratios.make_collection(8, 30, 1)
    trainer, series = ratios.plain_rival("tiny", ratios.paper_mode("tiny", max_epochs=0).fit(X, y), X)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.epoch(series, torch.tensor(y))
    changed = {name for name, value in trainer.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"theta"}
    assert all(weight.grad is not None for weight in trainer.model.acoustic.output.parameters())


def test_both_take_turns():
    epochs = []
    clock = ratios.TurnTaker(lambda: epochs.append(1))
    X, y = ratios.make_collection(4, 30, 1)
    ratios.paper_mode("tiny", max_epochs=3, callbacks=[clock]).fit(X, y)
    assert len(epochs) == len(clock.turns) == 3
    assert all(ours > 0 for ours, _ in clock.turns)


def test_operations_of_known_layers():
    x = torch.randn(2, 3, 20)
    assert flops.count_flops(nn.Conv1d(3, 5, 7, padding=3), x) == 2 * 2 * 20 * 5 * 3 * 7
    lstm = nn.LSTM(6, 4, batch_first=True, bidirectional=True).requires_grad_(False)
    assert flops.count_flops(lstm, torch.randn(2, 9, 6)) == 2 * 2 * 2 * 9 * 16 * (6 + 4)
    assert flops.count_flops(torch.fft.rfft, torch.randn(3, 64)) == 3 * 2.5 * 64 * 6


def test_the_faster_twin_does_not_change_the_count():
    frozen = load_acoustic_model("v2st")
    waveforms = torch.zeros(2, 16000)
    assert flops.count_flops(frozen, waveforms) == flops.count_flops(frozen.trainable_copy(), waveforms)


def test_the_share_is_the_ratio_of_the_rates():
    found = flops.measure_forward(load_acoustic_model("tiny"), n_waveforms=4, n_repeats=1)
    assert found["fraction"] == pytest.approx(found["gflops"] / found["matrix_gflops"])
    assert found["gflops"] == pytest.approx(found["mflop"] / found["milliseconds"])
    shares = [share for _, share in flops.profile_forward(load_acoustic_model("tiny"), n_waveforms=4)]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1


def test_exponents_and_table_of_a_known_growth(tmp_path):
    seconds = {("n_cases", n, "V2S"): (0.001 * n, 0.001 * n) for n in (10, 100, 1000)}
    seconds |= {("n_cases", n, "MiniRocket"): (1e-6 * n**2, 0.0) for n in (10, 100, 1000)}
    slopes = growth.exponents(seconds)
    assert slopes["n_cases", "V2S"] == pytest.approx(1)
    assert slopes["n_cases", "MiniRocket"] == pytest.approx(2)
    table = growth.growth_table(seconds).splitlines()
    assert table[4] == "| series | 1000 | 2.00 | 1.00 | 2.00 |"
    assert table[-1].startswith("| series | exponent | 1.00 | 2.00")
    growth.plot_growth(seconds, tmp_path / "plot.svg")
    assert "MiniRocket" in (tmp_path / "plot.svg").read_text()


def test_growth_and_wide_data_are_measured_for_each_size(monkeypatch):
    sizes = []

    def fit_and_predict(name, size):
        sizes.append((name, size))
        return {"V2S": (6.0, 1.0), "MiniRocket": (2.0, 1.0)}[name]

    monkeypatch.setattr(growth, "fit_and_predict", fit_and_predict)
    seconds = growth.measure_growth({"n_cases": (5, 7)}, names=("V2S", "MiniRocket"))
    assert seconds["n_cases", 7, "V2S"] == (6.0, 1.0)
    assert ("MiniRocket", growth.BASE | {"n_cases": 7}) in sizes
    assert growth.measure_wide(((3, 2, 9),)) == {(3, 2, 9): 3.0}


@pytest.mark.parametrize(("ratio", "code"), [(1.0, 0), (15.0, 0), (15.1, 1)])
def test_a_missed_goal_ends_non_zero(monkeypatch, capsys, ratio, code):
    monkeypatch.setattr(ratios, "measure_wide", lambda shapes: dict.fromkeys(shapes, ratio))
    assert ratios.main(["--parts", "wide", "--quick"]) == code
    assert ("missed: fit / MiniRocket" in capsys.readouterr().out) == bool(code)


def test_goals_of_paper_mode_and_of_the_hardware(monkeypatch, capsys):
    monkeypatch.setattr(ratios, "check_equal", lambda source: (1e-12, 1e-7))
    monkeypatch.setattr(ratios, "compare_with_plain", lambda source, n_points, n_repeats: (0.42, 0.5))
    goals = list(ratios.report_paper(SimpleNamespace(quick=True)))
    missed = {goal.name for goal in goals if not goal.met}
    assert missed == {
        "v2sa same losses and theta",
        "v2st same losses and theta",
        "v2st epoch, 24 points",
        "v2st epoch, 1500 points",
    }
    assert not ratios.Goal("share", 0.4, 0.5, at_least=True).met
    assert ratios.Goal("share", 0.6, 0.5, at_least=True).met


def test_ratios_are_medians_and_milliseconds_the_least(monkeypatch):
    seconds = {
        "MiniRocketClassifier": iter([(1.0, 0.0)] * 99),
        "V2SClassifier": iter([(1.0, 1.0), (2.0, 0.6), (9.0, 0.8)] * 99),
    }
    monkeypatch.setattr(minirocket, "seconds_of", lambda classifier, X, y: next(seconds[type(classifier).__name__]))
    monkeypatch.setattr(minirocket, "PRESETS", {"default": V2SClassifier})
    found = minirocket.beside_minirocket({"small": (2, 9), "large": (2, 9), "predict": (100, 9)}, n_repeats=3)
    assert found == {"default": {"small": 2.6, "large": 2.0, "predict": 6.0}}
