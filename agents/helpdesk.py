"""Helpdesk: answers from the knowledge/ folder through SQLite full-text search; sources go to the page, not the ear."""

import re
import sqlite3
import weakref
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

from pydantic import BaseModel
from pydantic_ai import Agent, RunContext

from layercode_app import SPEAK_PLAINLY, Call, Scene, Turn, VoiceAgent, load_prompt

FOLDER = Path(__file__).parent / "knowledge" / "helpdesk"
STOP_WORDS = re.compile(
    r"\b(?:a|about|am|and|are|can|could|do|does|for|get|hello|help|hey|hi|how|i|in|is|it|lot|m|me|my|need|no|of|on|please|s|t|"
    r"talk|thank|thanks|the|there|to|want|what|when|where|with|would|yes|you|your)\b"
)


class Passage(BaseModel):
    """Part of an article."""

    source: str
    title: str
    text: str


class Knowledge:
    """The articles of a folder, searchable by words; a paragraph is the unit that is found."""

    def __init__(self, folder: Path) -> None:
        self._index = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self._index.close)
        self._index.execute("create virtual table passage using fts5(source, title, text, tokenize='porter')")
        for path in sorted(folder.glob("*.md")):
            title, *paragraphs = path.read_text(encoding="utf-8").strip().split("\n\n")
            rows = [(path.name, title.removeprefix("# "), " ".join(text.split())) for text in paragraphs]
            self._index.executemany("insert into passage values (?, ?, ?)", rows)

    def search(self, question: str, *, limit: int = 3) -> list[Passage]:
        """The passages that share words with the question, best first."""
        query = " OR ".join(f'"{word}"' for word in subject(question))
        if not query:
            return []
        rows = self._index.execute(
            "select source, title, text from passage where passage match ? order by rank limit ?", (query, limit)
        )
        return [Passage(source=source, title=title, text=text) for source, title, text in rows]


def subject(question: str) -> list[str]:
    """The words of a question that say what it is about."""
    return re.findall(r"[^\W_]+", STOP_WORDS.sub(" ", question.lower()))


@cache
def knowledge() -> Knowledge:
    """The folder, indexed when the first question comes."""
    return Knowledge(FOLDER)


helpdesk = Agent(instructions=[load_prompt("helpdesk"), SPEAK_PLAINLY], deps_type=Turn)
agent = VoiceAgent("helpdesk", helpdesk, greeting="Support, good day! What can I look up for you?", speakable=True)


@helpdesk.tool
async def search(ctx: RunContext[Turn], question: str) -> list[Passage]:
    """Search the help articles; an empty list means that they do not say."""
    passages = knowledge().search(question)
    ctx.deps.data({"sources": [{"title": found.title, "source": found.source} for found in passages]})
    if not passages:
        ctx.deps.outcome("unanswered")
    return passages


@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """What it says without a model: the best passage, read out."""
    if passages := scene.results.get("search"):
        yield passages[0].text
    elif "search" in scene.results:
        yield "I do not know that, I am afraid. Shall I have a colleague call you back?"
    elif subject(scene.text):
        yield "Let me look that up. "
        yield Call("search", {"question": scene.text})
    elif scene.says("thank"):
        yield "You are welcome."
    elif scene.says("yes"):
        yield "Good. A colleague will call you back."
    else:
        yield "I can look up the router, the wireless password, invoices and moving home. What is it about?"
