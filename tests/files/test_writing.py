"""Where files are written, and what stays as it was: links, modes, other people's files, what is no file."""

import errno
import os
import socket
import stat
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY_CONFIG, make_tiny_model

from v2s_sklearn import V2SClassifier, load, to_onnx
from v2s_sklearn.acoustic.storage import load_weights, save_weights
from v2s_sklearn.files import writing
from v2s_sklearn.files.writing import ABANDONED, check_target, write_atomically
from v2s_sklearn.inspection import listen

LONGEST = 255  # bytes of a name, on all usual file systems


@pytest.fixture(scope="module")
def clf():
    X = np.random.default_rng(0).normal(size=(6, 1, 8))
    return V2SClassifier("tiny", reprogramming="pad", mapping="random", random_state=0).fit(X, [0, 1] * 3)


# All that writes a file whose path a user gives.
WRITERS = {
    "save": lambda clf, path: clf.save(path),
    "to_onnx": lambda clf, path: to_onnx(clf, path),
    "weights": lambda clf, path: save_weights(make_tiny_model(), path, "attention_rnn", TINY_CONFIG),
    "listen": lambda clf, path: listen(clf, np.zeros(8), path),
}


@pytest.fixture(params=WRITERS)
def write(request, clf):
    return lambda path: WRITERS[request.param](clf, path)


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_files_of_others_stay(write, tmp_path):
    others = [
        "model.backup.tmp",
        f"model.{'0' * 32}.tmp",
        f".{'0' * 32}.v2s-tmp.txt",
        f"x.{'0' * 32}.v2s-tmp",
        f".{'g' * 32}.v2s-tmp",
        f".{'0' * 31}.v2s-tmp",
    ]
    own = [f".{digit * 32}.v2s-tmp" for digit in "0a"]
    for name in [*others, *own]:
        (tmp_path / name).write_bytes(b"content")
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / own[1])  # still being written
    write(tmp_path / "model")
    assert {name for name in [*others, *own] if (tmp_path / name).exists()} == {*others, own[1]}


def test_links_are_followed(write, tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "v3", tmp_path / "current"
    link.symlink_to(Path("folder") / "v3")
    for content in (None, b"old"):  # leading to nothing, and to a file
        if content is not None:
            target.write_bytes(content)
        write(link)
        assert link.is_symlink() and os.readlink(link) == os.path.join("folder", "v3")
        assert target.stat().st_size > 100
    write(tmp_path / "folder" / ".." / "current")
    assert link.is_symlink()


def test_weights_behind_a_link_load_by_both_names(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "v3.safetensors", tmp_path / "current.safetensors"
    link.symlink_to(target)
    model = make_tiny_model()
    for path in (target, link, target, link):
        model.output.bias.data += 1.0
        save_weights(model, path, "attention_rnn", TINY_CONFIG)
        for name in (link, target):
            assert torch.equal(load_weights(name)[0].output.bias, model.output.bias)
        assert link.is_symlink()


def test_links_through_links_and_in_circles(tmp_path):
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(tmp_path / "target")
    write_atomically(tmp_path / "first", b"content")
    assert (tmp_path / "target").read_bytes() == b"content" and (tmp_path / "second").is_symlink()
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="'.*/a'") as caught:
        write_atomically(tmp_path / "a", b"content")
    assert caught.value.errno == errno.ELOOP
    assert (tmp_path / "a").is_symlink() and (tmp_path / "b").is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_the_mode_of_a_file_stays(mode, write, tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(mode)
    write(path)
    assert mode_of(path) == mode and path.stat().st_size > 100


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_has_the_mode_of_every_new_file(mask, write, tmp_path):
    before = os.umask(mask)
    try:
        write(tmp_path / "new")
        (tmp_path / "other").write_bytes(b"")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "new") == mode_of(tmp_path / "other") == 0o666 & ~mask


def test_a_secret_is_one_while_it_is_written(tmp_path, monkeypatch):
    path, modes = tmp_path / "secret", []
    path.write_bytes(b"old")
    path.chmod(0o600)
    replace, change = os.replace, os.chmod

    def look(temporary, *args):
        modes.append(mode_of(temporary))
        return replace(temporary, *args)

    monkeypatch.setattr(
        writing.os, "chmod", lambda temporary, mode: (modes.append(mode_of(temporary)), change(temporary, mode))
    )
    monkeypatch.setattr(writing.os, "replace", look)
    write_atomically(path, b"new")
    assert modes == [0o600, 0o600] and path.read_bytes() == b"new"


def special(kind, folder):
    path = folder / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))  # the whole path may be too long for one
    elif kind == "link to a device":
        path.symlink_to("/dev/full")
    return Path("/dev/full") if kind == "device" else path


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "link to a device"])
def test_what_is_no_regular_file_is_refused(kind, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = special(kind, tmp_path)
    before = os.lstat(path)
    expected = "This is a folder" if kind == "folder" else "no regular file"
    with pytest.raises(OSError, match=rf"{expected}.* Give the path of a file.*'{path}'"):
        write(path)
    after = os.lstat(path)
    assert (after.st_mode, after.st_ino, after.st_dev) == (before.st_mode, before.st_ino, before.st_dev)
    assert set(os.listdir(tmp_path)) <= {kind} and not Path("/dev/SHA256SUMS").exists()


@pytest.mark.parametrize(
    "name", ["x" * LONGEST, "é" * (LONGEST // 2), "with\nlines", "[a]*?", ".hidden", "-"], ids=repr
)
def test_every_name_that_a_file_may_have(name, clf, tmp_path):
    path = tmp_path / name
    for _ in range(2):
        clf.save(path)
    assert os.listdir(tmp_path) == [name]
    assert load(path).classes_.tolist() == [0, 1]


def test_errors_name_what_was_given(clf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in ("y" * (LONGEST + 1), Path("missing") / "x", "file/x"):
        Path("file").write_bytes(b"")
        with pytest.raises(OSError, match=str(given)) as caught:
            clf.save(given)
        assert caught.value.filename == str(given) and "tmp'" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="There is no folder .*missing. Make it before, or give another path"):
        clf.save(Path("missing") / "x")
    for function, number in ((os.replace, errno.EIO), (os.open, errno.EDQUOT)):

        def fail(*args, number=number, **kwargs):
            raise OSError(number, os.strerror(number), str(args[0]))

        with monkeypatch.context() as patch:
            patch.setattr(writing.os, function.__name__, fail)
            with pytest.raises(OSError, match="'model'") as caught:
                clf.save("model")
        assert (caught.value.errno, caught.value.filename) == (number, "model")
        assert os.listdir() == ["file"]


def test_what_may_not_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "protected").write_bytes(b"old")
    forbidden = tmp_path / "protected"
    monkeypatch.setattr(writing.os, "access", lambda path, mode: Path(path) != forbidden)  # the superuser may all
    with pytest.raises(PermissionError, match="This may not be written. Give another path: '.*/protected'"):
        write_atomically(forbidden, b"new")
    assert forbidden.read_bytes() == b"old"
    forbidden = tmp_path
    with pytest.raises(PermissionError, match="may not be written"):
        write_atomically(tmp_path / "new", b"new")


def test_a_check_writes_nothing(tmp_path):
    (tmp_path / "link").symlink_to("target")
    assert check_target(tmp_path / "link") == (tmp_path.resolve() / "target", None)
    assert os.listdir(tmp_path) == ["link"]


def test_left_behind_by_a_killed_process_of_any_file_of_the_folder(tmp_path):
    left = tmp_path / f".{'5' * 32}.v2s-tmp"
    left.write_bytes(b"half")
    for age, is_there in ((ABANDONED / 2, True), (2 * ABANDONED, False)):
        os.utime(left, (time.time() - age,) * 2)
        write_atomically(tmp_path / "anything", b"content")
        assert left.exists() == is_there
