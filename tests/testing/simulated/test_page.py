"""The page of an evaluation shows failed runs first, filters by label without a script, and has every table."""

from __future__ import annotations

import re

from layercode_app.testing.evals.eval_report import html, junit
from layercode_app.testing.evals.played import Played
from layercode_app.testing.evals.simulated.drill import DRILLS, SEPARATOR

BEHAVIOURS = [{"turn": 1, "said": "two <b>", "behaviours": ["hesitates"]}]


def test_the_page_filters_by_label_without_a_script() -> None:
    played = [
        Played("good", "", 1, ["rush", "<i>hour"], agent="bakery", behaviours=BEHAVIOURS, hung_up="caller", turns=3),
        Played("bad", "", 1, ["<i>hour"], ["turn 2: no"], agent="bakery", notes=["the agent hung up in turn 2"]),
    ]
    page = html(played)
    assert "<script" not in page
    assert "<i>hour" not in page
    assert "two <b>" not in page
    cards = re.findall(r'<div class="card run([^"]*)"><h2>(\w+)', page)
    assert cards == [(" failed label1", "bad"), (" label1 label2", "good")]
    assert "main:has(#label2:checked) .run:not(.label2) { display: none; }" in page
    assert "the agent hung up in turn 2" in page
    assert "ended by: caller; 3 messages; 0 interruptions" in page
    assert "two &lt;b&gt;: hesitates" in page
    assert "<td>1/2</td><td>9% to 91%</td>" in page
    assert "Interruptions survived" not in page
    assert 'message="turn 2: no; the agent hung up in turn 2"' in junit(played)


def test_the_page_has_the_matrix() -> None:
    played = [Played(f"order{SEPARATOR}{kind}", "", 1, agent="bakery", interruptions=1) for kind in DRILLS]
    played[1].failures.append("turn 2: no")
    page = html(played)
    assert "<th>bakery: order</th>" in page
    assert "<tr><td>before the first word</td><td>1/1</td></tr>" in page
    assert "<tr><td>after three words</td><td>0/1</td></tr>" in page
