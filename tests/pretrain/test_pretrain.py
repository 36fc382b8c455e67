"""The pretraining command on a small speech folder in the format of the real one, with tones for words."""

import csv
import dataclasses
import io
import logging
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from conftest import make_tiny_model
from PIL import Image
from safetensors.torch import save_file

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.networks.attention_rnn import AttentionRNN
from v2s_sklearn.acoustic.networks.vggish import AUDIOSET_VGGISH, VGGish, load_audioset_vggish
from v2s_sklearn.acoustic.networks.wav2vec import Wav2Vec
from v2s_sklearn.errors import MissingDependencyError, SpeechDataError, WeightsError
from v2s_sklearn.pretrain import __main__ as command
from v2s_sklearn.pretrain.augmentation import Augmentation, WaveformAugmentation
from v2s_sklearn.pretrain.card import read_cards
from v2s_sklearn.pretrain.contrastive import ContrastiveConfig, train_contrastive
from v2s_sklearn.pretrain.data import IMAGE_OFFSET, IMAGE_SLOPE, cut_to_windows, read_clips, read_images
from v2s_sklearn.pretrain.datasets import (
    DATASETS,
    Split,
    TestSet,
    read_speech_commands,
    read_speech_commands_audio,
    to_int16,
)
from v2s_sklearn.pretrain.inversion import invert_log_mel
from v2s_sklearn.pretrain.source_logits import choose_clips, compute_source_logits
from v2s_sklearn.pretrain.supervised import TrainingConfig, train

WORDS = {"_silence_": 0.0, "low": 300.0, "high": 1500.0}


def make_clip(word, rng):
    tone = 0.2 * np.sin(2 * np.pi * WORDS[word] * (1 + 0.05 * rng.normal()) * np.arange(16000) / 16000)
    return (tone + 0.003 * rng.normal(size=16000)).astype(np.float32)


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    rng = np.random.default_rng(0)
    frontend, rows = LogMel(), []
    for index in range(60):
        word = list(WORDS)[index % 3]
        features = frontend(torch.from_numpy(make_clip(word, rng))[None])[0].numpy()
        image = IMAGE_SLOPE * (features * frontend.std + frontend.mean) + IMAGE_OFFSET
        file = io.BytesIO()
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=95)
        split = ("train", "train", "validation", "test")[index // 3 % 4]
        rows.append({"word": word, "clip": f"{index}", "split": split, "jpeg": file.getvalue()})
    pd.DataFrame(rows).to_parquet(folder / "gsc_v002_logmel.parquet")
    for name, split in (("gsc_wav_train", "train"), ("gsc_wav_test", "test")):
        words = list(WORDS) * 5
        clips = [make_clip(word, rng) for word in words]
        clips[1] = clips[1][:9000]
        write_clips(folder, name, clips, words, [split] * 15)
    return folder


def write_clips(folder, name, clips, words, splits, sample_rate=16000):
    soundfile.write(folder / f"{name}.opus", np.concatenate(clips), sample_rate, format="OGG", subtype="OPUS")
    stops = np.cumsum([len(clip) for clip in clips])
    with open(folder / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["word", "clip", "split", "start", "stop"])
        for word, split, clip, stop in zip(words, splits, clips, stops, strict=True):
            writer.writerow([word, "x", split, stop - len(clip), stop])


def test_images_and_raw_clips_have_one_scale(speech):
    frontend = LogMel()
    features, words, _ = read_images(speech, frontend)
    clips, raw_words, _ = read_clips(speech, "gsc_wav_train")
    waveforms, _ = cut_to_windows(clips, 16000)
    raw = frontend(torch.from_numpy(waveforms))
    assert waveforms.shape == (15, 16000)
    assert (waveforms[1, 9500:] == 0).all()
    for word in ("low", "high"):
        from_images = features[[i for i, w in enumerate(words) if w == word]].float().mean(0)
        from_audio = raw[[i for i, w in enumerate(raw_words) if w == word and i != 1]].mean(0)
        assert (from_images - from_audio).abs().mean() < 0.3


def test_the_test_split_is_not_read_for_training(speech):
    data, source_labels = read_speech_commands(speech, AttentionRNN(["a"]))
    assert source_labels == ["_silence_", "high", "low"]
    assert len(data["train"]) == 30 + 15
    assert len(data["validation"]) == 15
    assert set(data) == {"train", "validation"}


def test_augmentation_keeps_shape_and_depends_on_the_generator_only(speech):
    data, _ = read_speech_commands(speech, AttentionRNN(["a"]))
    x = data["train"].features[:8].float()
    changed = [Augmentation()(x, x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert changed[0].shape == x.shape
    assert changed[0].isfinite().all()
    assert torch.equal(changed[0], changed[1])
    assert not torch.equal(changed[0], changed[2])


def test_waveform_augmentation_keeps_shape_and_depends_on_the_generator_only():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(np.stack([make_clip("low", rng) for _ in range(4)]))
    changed = [WaveformAugmentation()(x, x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert changed[0].shape == x.shape
    assert changed[0].isfinite().all()
    assert torch.equal(changed[0], changed[1])
    assert not torch.equal(changed[0], changed[2])
    nothing = WaveformAugmentation(speed=0, shift=0, gain=0, noise_probability=0, silenced=0)
    assert torch.allclose(nothing(x, x, torch.Generator().manual_seed(0)), x, atol=1e-5)


def test_inverted_features_sound_the_same_to_the_front_end():
    frontend, rng = LogMel(), np.random.default_rng(0)
    # Two tones at once, so that a wrong phase would show as beats.
    clips = torch.from_numpy(np.stack([make_clip("low", rng) + make_clip("high", rng) for _ in range(3)]))
    features = frontend(clips)
    inverted = invert_log_mel(frontend, features, torch.Generator().manual_seed(0))
    assert inverted.shape == clips.shape
    error = (frontend(inverted) - features).abs().mean()
    assert error < 0.15 < (features - features.mean()).abs().mean() / 2
    assert abs(inverted.std() / clips.std() - 1) < 0.1


def test_a_killed_inversion_resumes(speech, tmp_path, monkeypatch):
    whole, _ = read_speech_commands_audio(speech, Wav2Vec(["a"]), tmp_path / "whole")
    calls = []

    def killed(*args):
        calls.append(args)
        raise KeyboardInterrupt

    monkeypatch.setattr("v2s_sklearn.pretrain.datasets.invert_log_mel", killed)
    with pytest.raises(KeyboardInterrupt):
        read_speech_commands_audio(speech, Wav2Vec(["a"]), tmp_path / "killed")
    monkeypatch.undo()
    resumed, _ = read_speech_commands_audio(speech, Wav2Vec(["a"]), tmp_path / "killed")
    assert calls
    assert whole["train"].is_audio
    assert torch.equal(whole["train"].features, resumed["train"].features)
    batch = resumed["train"].batch(torch.arange(3))
    assert batch.dtype == torch.float32
    assert 0.05 < batch.abs().max() <= 1.0
    # Every second of 45 images that are not for testing, and 15 raw clips.
    assert len(whole["train"]) + len(whole["validation"]) == 23 + 15


@pytest.mark.parametrize(("name", "file", "rate"), [("digits", "fsdd", 8000), ("esc10", "esc10", 16000)])
def test_other_source_data(name, file, rate, tmp_path):
    rng = np.random.default_rng(0)
    clips = [0.1 * rng.normal(size=rate * 5 // 2).astype(np.float32) for _ in range(30)]
    write_clips(tmp_path, file, clips, ["a", "b"] * 15, ["train"] * 20 + ["test"] * 10, rate)
    data, source_labels = DATASETS[name].read(tmp_path, AttentionRNN(["a"]))
    assert source_labels == ["a", "b"]
    windows = {"digits": 1, "esc10": 3}[name]
    assert (len(data["train"]), len(data["validation"])) == (18 * windows, 2 * windows)
    assert data["train"].features.shape[1:] == (98, 40)
    test = DATASETS[name].read_test(tmp_path)
    assert test.waveforms.shape == (10 * windows, 16000)
    assert test.words == ["a", "b"] * 5
    assert np.bincount(test.clip_index).tolist() == [windows] * 10


def make_sweeps(n_clips, seed):
    """Rising tones, low or high: what comes next can be told from the rest of the clip."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_clips) % 2
    start = np.where(labels, 1000.0, 200.0) * rng.uniform(0.8, 1.2, n_clips)
    frequency = np.geomspace(start, 3 * start, 16000, axis=1)
    waveforms = 0.3 * np.sin(2 * np.pi * np.cumsum(frequency, axis=1) / 16000)
    return Split(to_int16(torch.from_numpy(waveforms)), torch.from_numpy(labels))


def test_contrastive_pretraining_learns_and_resumes(tmp_path):
    data, source_labels = {"train": make_sweeps(64, 0), "validation": make_sweeps(20, 1)}, ["low", "high"]
    config = ContrastiveConfig(epochs=8, batch_size=8, learning_rate=1e-2)

    def new_model():
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            return Wav2Vec(source_labels, encoder_channels=[16] * 5, n_context_layers=2, n_steps=3)

    model, history = train_contrastive(new_model(), data, config, tmp_path / "unbroken")
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert history[-1]["contrastive_accuracy"] > 0.6
    assert history[-1]["validation_accuracy"] > 0.8

    class Killed(Exception):
        pass

    class Noise(WaveformAugmentation):
        calls = 0

        def __call__(self, *args):
            Noise.calls += 1
            if Noise.calls == 12:  # in the second of eight epochs
                raise Killed
            return super().__call__(*args)

    with pytest.raises(Killed):
        train_contrastive(new_model(), data, dataclasses.replace(config, augmentation=Noise()), tmp_path / "killed")
    resumed, _ = train_contrastive(new_model(), data, config, tmp_path / "killed")
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_killed_run_resumes_to_the_same_weights(speech, tmp_path):
    data, source_labels = read_speech_commands(speech, AttentionRNN(["a"]))
    config = TrainingConfig(epochs=3, batch_size=16)

    def new_model():
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            return AttentionRNN(source_labels, hidden_size=8, dense_sizes=[8])

    unbroken, history = train(new_model(), data, config, tmp_path / "unbroken")

    class Killed(Exception):
        pass

    class Noise(Augmentation):
        calls = 0

        def __call__(self, *args):
            Noise.calls += 1
            if Noise.calls == 5:  # in the second of three epochs
                raise Killed
            return super().__call__(*args)

    with pytest.raises(Killed):
        train(new_model(), data, TrainingConfig(epochs=3, batch_size=16, augmentation=Noise()), tmp_path / "killed")
    resumed, resumed_history = train(new_model(), data, config, tmp_path / "killed")
    assert len(history) == len(resumed_history) == 3
    for name, value in unbroken.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_missing_files_and_packages_are_named(speech, tmp_path, monkeypatch):
    with pytest.raises(SpeechDataError, match=r"lacks gsc_v002_logmel\.parquet"):
        read_speech_commands(tmp_path, AttentionRNN(["a"]))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingDependencyError, match=r"needs soundfile.*pip install 'v2s-sklearn\[pretrain\]'"):
        read_clips(speech, "gsc_wav_test")


def test_another_configuration_does_not_resume(speech, tmp_path):
    data, source_labels = read_speech_commands(speech, AttentionRNN(["a"]))
    model = AttentionRNN(source_labels, hidden_size=8, dense_sizes=[8])
    train(model, data, TrainingConfig(epochs=1), tmp_path)
    with pytest.raises(ValueError, match="another configuration"):
        train(model, data, TrainingConfig(epochs=2), tmp_path)


def test_the_command_trains_exports_and_describes(speech, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    monkeypatch.setitem(
        command.RECIPES,
        "v2st",
        command.Recipe("tcn", {"channels": [8, 16]}, TrainingConfig(epochs=40, batch_size=8, learning_rate=1e-2)),
    )
    monkeypatch.setitem(
        command.RECIPES,
        "v2sa",
        command.Recipe(
            "attention_rnn", {"hidden_size": 8, "dense_sizes": [8]}, TrainingConfig(epochs=2, teachers=("v2st",))
        ),
    )
    output, options = tmp_path / "out", ["--speech", str(speech), "--work-dir", str(tmp_path / "work")]
    with caplog.at_level(logging.INFO):
        command.main(["v2st", "--output", str(output), *options])
        command.main(["v2sa", "--output", str(output), *options])
    assert "epoch 40 of 40" in caplog.text
    model = load_acoustic_model(output / "v2st.safetensors")
    clips, words, _ = read_clips(speech, "gsc_wav_test")
    waveforms, _ = cut_to_windows(clips, 16000)
    predicted = [model.source_labels[i] for i in model.predict_proba(torch.from_numpy(waveforms)).argmax(1)]
    accuracy = np.mean([p == w for p, w in zip(predicted, words, strict=True)])
    assert accuracy > 0.8
    card = read_cards(output)["v2st"]
    assert f"**{accuracy:.2%}** of 15 clips" in card
    assert model.source[1] in card
    assert load_acoustic_model(output / "v2sa.safetensors").n_parameters() < 20000


def test_every_recipe_can_be_trained(speech, tmp_path):
    for name, recipe in command.RECIPES.items():
        earlier = list(command.RECIPES)[: list(command.RECIPES).index(name)]
        assert recipe.dataset in DATASETS
        model = command.architecture_class(recipe.architecture)(source_labels=["a", "b"], **recipe.network)
        batch = torch.zeros(2, model.n_samples)
        assert model(batch).shape == (2, 2)
        needed = {*getattr(recipe.training, "teachers", ()), getattr(recipe.training, "start_from", None)} - {None}
        assert needed <= set(earlier)


def test_a_model_starts_from_another(speech, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    small = {"hidden_size": 8, "dense_sizes": [8]}
    recipes = {
        "v2sa": command.Recipe("attention_rnn", small, TrainingConfig(epochs=2)),
        "v2su": command.Recipe(
            "unet_attention_rnn",
            small | {"unet_channels": [2, 4]},
            TrainingConfig(epochs=1, learning_rate=1e-12, start_from="v2sa"),
        ),
    }
    monkeypatch.setattr(command, "RECIPES", recipes)
    options = ["--speech", str(speech), "--work-dir", str(tmp_path / "work"), "--output", str(tmp_path / "out")]
    with pytest.raises(WeightsError, match=r"v2su needs v2sa.*Train it before"):
        command.main(["v2su", *options])
    command.main(["v2sa", *options])
    command.main(["v2su", *options])
    first, second = (load_acoustic_model(tmp_path / "out" / f"{name}.safetensors") for name in recipes)
    assert torch.allclose(first.output.weight, second.output.weight, atol=1e-6)
    assert "Started from the weights of v2sa" in read_cards(tmp_path / "out")["v2su"]


def test_public_weights_are_fine_tuned(speech, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    small = AUDIOSET_VGGISH | {"channels": [2, 2, 2, 2, 2, 2], "dense_sizes": [4, 4, 4]}
    public = VGGish(["none"], **small).state_dict()
    save_file({name: value for name, value in public.items() if not name.startswith("output")}, tmp_path / "public")
    (tmp_path / "public").rename(tmp_path / "public.safetensors")
    recipe = command.Recipe(
        "vggish",
        small,
        TrainingConfig(epochs=1, learning_rate=1e-12),
        dataset="speech-commands-audio",
        load_public=lambda path, labels: load_audioset_vggish(path, labels, **small),
    )
    monkeypatch.setattr(command, "RECIPES", {"v2sp": recipe, "v2sa": command.RECIPES["v2sa"]})
    options = ["--speech", str(speech), "--work-dir", str(tmp_path / "work"), "--output", str(tmp_path / "out")]
    with pytest.raises(WeightsError, match="v2sp needs --start-from"):
        command.main(["v2sp", *options])
    with pytest.raises(WeightsError, match="v2sa takes no --start-from"):
        command.main(["v2sa", *options, "--start-from", "file"])
    command.main(["v2sp", *options, "--start-from", str(tmp_path / "public.safetensors")])
    tuned = load_acoustic_model(tmp_path / "out" / "v2sp.safetensors")
    assert torch.allclose(tuned.features[0].weight, public["features.0.weight"], atol=1e-6)
    assert tuned.n_samples == 15600


def test_as_many_clips_of_each_class_as_there_are():
    words = ["a"] * 20 + ["b"] * 3 + ["c"] * 20
    chosen = choose_clips(words, ["a", "b", "c"], n_clips=15)
    assert [sum(words[i] == word for i in chosen) for word in "abc"] == [5, 3, 5]
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, choose_clips(words, ["a", "b", "c"], n_clips=15))


def test_logits_are_those_of_the_first_window_of_each_clip():
    model = make_tiny_model().freeze()
    rng = np.random.default_rng(0)
    waveforms = rng.normal(0, 0.1, (6, 5000)).astype(np.float32)
    words = ["word3", "word0", "word11"]
    test = TestSet(waveforms, words, np.array([0, 0, 1, 1, 1, 2]))
    logits, labels = compute_source_logits(model, test)
    assert list(labels) == [3, 0, 11]
    with torch.no_grad():
        expected = model(torch.from_numpy(waveforms[[0, 2, 5], :4000])).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)
