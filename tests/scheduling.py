"""Decide which tests run first. If several workers run tests, decide which tests run in the same worker."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

LONGEST = (
    "scaffold/test_two_commands.py", "scaffold/test_colleague.py", "strict_models/test_property.py",
    "docsite/test_tutorial.py", "scaffold/test_projects.py", "agents/test_simulated.py",
    "journal/stores/test_turns.py", "e2e/test_dev_page.py", "e2e/test_dev_page_looks.py", "platform/test_tunnel.py",
    "observability/test_log_files.py", "journal/stores/test_fault_table.py", "conversation/test_history_steps.py",
    "journal/stores/test_workers.py", "adopt/test_adopt.py", "e2e/test_fork_page.py",
    "agents/test_first_sentences.py", "testing/test_check.py", "testing/test_plugin.py", "e2e/test_hostile_pages.py",
    "observability/test_spans.py", "journal/stores/test_corrected.py", "e2e/test_simulated_page.py",
    "scaffold/test_readme.py", "watch/test_hosts.py", "journal/stores/test_kept_tasks.py", "server/test_hosts.py",
    "e2e/test_review_page.py", "journal/stores/test_processes.py", "e2e/test_official_client.py",
    "collect/test_collectors.py", "server/test_killed.py", "server/test_shutdown.py", "observability/test_faults.py",
    "agent/test_hanging_models.py", "testing/test_bench.py", "emulator/test_hearing.py",
    "conversation/test_summaries.py", "conversation/test_property.py", "dev/test_simulated_calls.py",
    "agents/test_gallery.py",
)  # fmt: skip
"""The slowest test files. They begin first, because at the end all workers would wait for the one with a slow file."""
SPREAD = {
    "strict_models/test_property.py", "scaffold/test_projects.py", "agents/test_simulated.py",
    "conversation/test_property.py", "conversation/test_summary_property.py", "testing/simulated/test_broken_agents.py",
    "server/test_shutdown.py", "journal/stores/test_fault_table.py",
}  # fmt: skip
"""Files whose tests take long, but share no slow fixture, so that any worker may run any of these tests."""
_PLACES = {name: place for place, name in enumerate(LONGEST)}


class FileByFile(LoadScopeScheduling):
    """A scheduler that gives all tests of a file to one worker, so that their shared fixtures are set up only once.

    The files in SPREAD are an exception: their tests are given out one by one, each to any worker.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if _name(file) in SPREAD else file


def place(nodeid: str) -> int:
    """Return the place of a test's file in LONGEST. Any other file has the place after the last file of LONGEST."""
    return _PLACES.get(_name(nodeid.partition("::")[0]), len(LONGEST))


def _name(file: str) -> str:
    return file.removeprefix("tests/")
