"""Workers of a thread pool are recognised, also in a release of Python that hides what they run."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from layercode_app._compat import threads


@pytest.mark.parametrize("release", ["shown", "hidden"])
def test_only_workers_of_a_pool_are_in_a_pool(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if release == "hidden":
        monkeypatch.setattr(threads, "thread", SimpleNamespace())
    seen: list[bool] = []
    own = threading.Thread(target=lambda: seen.append(threads.in_pool()))
    own.start()
    own.join()
    with ThreadPoolExecutor(1) as pool:
        seen.append(pool.submit(threads.in_pool).result())
    assert [threads.in_pool(), *seen] == [False, False, True]
