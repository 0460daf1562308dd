"""Helpdesk: answers from the knowledge/ folder with SQLite full-text search. The page shows the sources."""

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
    """The articles of a folder, searchable by words. A search finds paragraphs."""

    def __init__(self, folder: Path) -> None:
        self._index = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self._index.close)
        self._index.execute("create virtual table passage using fts5(source, title, text, tokenize='porter')")
        for path in sorted(folder.glob("*.md")):
            title, *paragraphs = path.read_text(encoding="utf-8").strip().split("\n\n")
            rows = [(path.name, title.removeprefix("# "), " ".join(text.split())) for text in paragraphs]
            self._index.executemany("insert into passage values (?, ?, ?)", rows)

    def search(self, question: str, *, limit: int = 3) -> list[Passage]:
        """Return the passages that share words with the question, best first."""
        query = " OR ".join(f'"{word}"' for word in subject(question))
        if not query:
            return []
        rows = self._index.execute(
            "select source, title, text from passage where passage match ? order by rank limit ?", (query, limit)
        )
        return [Passage(source=source, title=title, text=text) for source, title, text in rows]


def subject(question: str) -> list[str]:
    """Return the words of a question that say what it is about."""
    return re.findall(r"[^\W_]+", STOP_WORDS.sub(" ", question.lower()))


@cache
def knowledge() -> Knowledge:
    """Return the articles. They are indexed when the first question comes."""
    return Knowledge(FOLDER)


helpdesk = Agent(instructions=[load_prompt("helpdesk"), SPEAK_PLAINLY], deps_type=Turn)
agent = VoiceAgent("helpdesk", helpdesk, greeting="Support, good day! What can I look up for you?", speakable=True)
callback = Agent(instructions=[load_prompt("helpdesk_callback"), SPEAK_PLAINLY], deps_type=Turn)
callbacks = VoiceAgent("helpdesk_callback", callback, greeting="Support, good day! At which number can we call you?")


@helpdesk.tool
async def search(ctx: RunContext[Turn], question: str) -> list[Passage]:
    """Search the help articles. An empty list means that they have no answer."""
    passages = knowledge().search(question)
    ctx.deps.data({"sources": [{"title": found.title, "source": found.source} for found in passages]})
    if not passages:
        ctx.deps.outcome("unanswered")
    return passages


@helpdesk.tool
async def call_back(ctx: RunContext[Turn]) -> str:
    """Hand the caller to the agent that arranges callbacks, once the caller wants to be called back."""
    ctx.deps.hand_to("helpdesk_callback", say="A colleague will call you back. At which number?")
    return "handed over"


@callback.tool
async def give_back(ctx: RunContext[Turn], number: str = "") -> str:
    """Note the number to call, and hand the caller back to the help desk. Leave the number empty for no callback."""
    noted = f"We will call {' '.join(number)}." if number else "All right, no call."
    if number:
        ctx.deps.data({"call_back": number})
        ctx.deps.outcome("call_back")
    ctx.deps.hand_to("helpdesk", say=f"{noted} What else can I look up for you?")
    return "handed back"


@callbacks.offline
@agent.offline
async def script(scene: Scene) -> AsyncIterator[str | Call]:
    """Answer without a model: read out the best passage."""
    if scene.offers("give_back"):
        no = scene.match(r"\b(no|not|don't)\b")
        known = no or len(scene.digits) > 6
        yield Call("give_back", {"number": "" if no else scene.digits}) if known else "At which number, please?"
    elif passages := scene.results.get("search"):
        yield passages[0].text
    elif "search" in scene.results:
        yield "I do not know that, I am afraid. Shall I have a colleague call you back?"
    elif subject(scene.text):
        yield "Let me look that up. "
        yield Call("search", {"question": scene.text})
    elif scene.says("thank"):
        yield "You are welcome."
    elif scene.says("yes"):
        yield Call("call_back")
    else:
        yield "I can look up the router, the wireless password, invoices and moving home. What is it about?"
