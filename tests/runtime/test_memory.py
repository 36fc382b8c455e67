import os

import pytest

from v2s_sklearn.errors import NotEnoughMemoryError, V2SError
from v2s_sklearn.runtime import memory


def test_available_memory_is_known_and_less_than_the_machine_has():
    assert 2**20 < memory.available_bytes() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_too_much_is_an_error_with_the_number_and_a_way_out(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**30)
    memory.check_memory(2**30, "A thing", "Take less.")
    assert memory.is_available(2**30)
    assert not memory.is_available(2**30 + 1)
    message = r"A thing needs about 3\.0 GiB of memory \(3221225472 bytes\), and 1\.0 GiB are available\. Take less\."
    with pytest.raises(NotEnoughMemoryError, match=message) as caught:
        memory.check_memory(3 * 2**30, "A thing", "Take less.")
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, V2SError)


def test_where_nothing_is_known_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    memory.check_memory(2**80, "A thing", "Take less.")
    assert memory.is_available(2**80)
