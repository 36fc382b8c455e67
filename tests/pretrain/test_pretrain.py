"""The pretraining command on a small speech folder in the format of the real one, with tones for words."""

import csv
import io
import logging
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from PIL import Image

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic.attention_rnn import AttentionRNN
from v2s_sklearn.errors import MissingDependencyError, SpeechDataError
from v2s_sklearn.frontend import LogMel
from v2s_sklearn.pretrain import __main__ as command
from v2s_sklearn.pretrain.data import IMAGE_OFFSET, IMAGE_SLOPE, Augmentation, read_clips, read_images, read_speech
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
        soundfile.write(folder / f"{name}.opus", np.concatenate(clips), 16000, format="OGG", subtype="OPUS")
        stops = np.cumsum([len(clip) for clip in clips])
        with open(folder / f"{name}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["word", "clip", "split", "start", "stop"])
            for word, clip, stop in zip(words, clips, stops, strict=True):
                writer.writerow([word, "x", split, stop - len(clip), stop])
    return folder


def test_images_and_raw_clips_have_one_scale(speech):
    frontend = LogMel()
    features, words, _ = read_images(speech, frontend)
    waveforms, raw_words, _ = read_clips(speech, "gsc_wav_train")
    raw = frontend(torch.from_numpy(waveforms))
    assert waveforms.shape == (15, 16000)
    assert (waveforms[1, 9500:] == 0).all()
    for word in ("low", "high"):
        from_images = features[[i for i, w in enumerate(words) if w == word]].float().mean(0)
        from_audio = raw[[i for i, w in enumerate(raw_words) if w == word and i != 1]].mean(0)
        assert (from_images - from_audio).abs().mean() < 0.3


def test_the_test_split_is_not_read_for_training(speech):
    data, source_labels = read_speech(speech, LogMel())
    assert source_labels == ["_silence_", "high", "low"]
    assert len(data["train"]) == 30 + 15
    assert len(data["validation"]) == 15
    assert set(data) == {"train", "validation"}


def test_augmentation_keeps_shape_and_depends_on_the_generator_only(speech):
    data, _ = read_speech(speech, LogMel())
    x = data["train"].features[:8].float()
    changed = [Augmentation()(x, x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert changed[0].shape == x.shape
    assert changed[0].isfinite().all()
    assert torch.equal(changed[0], changed[1])
    assert not torch.equal(changed[0], changed[2])


def test_a_killed_run_resumes_to_the_same_weights(speech, tmp_path):
    data, source_labels = read_speech(speech, LogMel())
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
        read_speech(tmp_path, LogMel())
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingDependencyError, match=r"needs soundfile.*pip install 'v2s-sklearn\[pretrain\]'"):
        read_clips(speech, "gsc_wav_test")


def test_another_configuration_does_not_resume(speech, tmp_path):
    data, source_labels = read_speech(speech, LogMel())
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
            "attention_rnn", {"hidden_size": 8, "dense_sizes": [8]}, TrainingConfig(epochs=2, teacher="v2st")
        ),
    )
    output, options = tmp_path / "out", ["--speech", str(speech), "--work-dir", str(tmp_path / "work")]
    with caplog.at_level(logging.INFO):
        command.main(["v2st", "--output", str(output), *options])
        command.main(["v2sa", "--output", str(output), *options])
    assert "epoch 40 of 40" in caplog.text
    model = load_acoustic_model(output / "v2st.safetensors")
    waveforms, words, _ = read_clips(speech, "gsc_wav_test")
    predicted = [model.source_labels[i] for i in model.predict_proba(torch.from_numpy(waveforms)).argmax(1)]
    accuracy = np.mean([p == w for p, w in zip(predicted, words, strict=True)])
    assert accuracy > 0.8
    card = (output / "v2st.md").read_text()
    assert f"**{accuracy:.2%}** of 15 clips" in card
    assert model.source[1] in card
    assert load_acoustic_model(output / "v2sa.safetensors").n_parameters() < 20000
