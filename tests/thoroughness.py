"""How thorough a run is: `make test` tries a share of the random examples, `make test-all` and CI try all."""

from __future__ import annotations

import hypothesis

QUICK = "quick"
QUICK_SHARE = 8

# A deadline per example would measure the machine, not the code.
hypothesis.settings.register_profile("thorough", deadline=None)
hypothesis.settings.register_profile(QUICK, deadline=None, max_examples=100 // QUICK_SHARE)
hypothesis.settings.load_profile("thorough")


def times(thorough: int) -> int:
    """Return the number of repetitions: `thorough`, or an eighth (at least 1) with `--hypothesis-profile=quick`."""
    quick = hypothesis.settings.get_current_profile_name() == QUICK
    return max(thorough // QUICK_SHARE, 1) if quick else thorough
