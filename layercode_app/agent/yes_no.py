"""Recognise a plain yes or no. Anything else is left to the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, Literal

from ..conversation.plain_words import plain_words
from .phrases import Phrases
from .tool_policy import texts_of

YES: Final = {
    "en": (
        *(
            "yes",
            "yeah",
            "yep",
            "yup",
            "sure",
            "ok",
            "okay",
            "right",
            "correct",
            "absolutely",
            "definitely",
            "of course",
        ),
        *(
            "go ahead",
            "please do",
            "do it",
            "do that",
            "that's right",
            "that is right",
            "that's correct",
            "sounds good",
        ),
        *("uh-huh", "mhm", "mm-hmm", "all right", "alright", "yes I do", "confirm", "confirmed", "perfect"),
    ),
    "de": (
        "ja",
        "jawohl",
        "jo",
        "klar",
        "gerne",
        "genau",
        "richtig",
        "sicher",
        "in Ordnung",
        "passt",
        "ja gerne",
        "mach das",
    ),
    "fr": (
        "oui",
        "ouais",
        "d'accord",
        "bien sûr",
        "exact",
        "exactement",
        "allez-y",
        "c'est bon",
        "parfait",
        "volontiers",
    ),
    "es": ("sí", "si", "claro", "vale", "de acuerdo", "correcto", "adelante", "por supuesto", "perfecto", "exacto"),
    "it": (
        "sì",
        "si",
        "certo",
        "va bene",
        "d'accordo",
        "esatto",
        "giusto",
        "perfetto",
        "proceda",
        "procedi",
        "volentieri",
    ),
    "nl": ("ja", "jazeker", "zeker", "goed", "prima", "akkoord", "klopt", "graag", "ga je gang", "doe maar"),
    "pt": ("sim", "claro", "certo", "está bem", "tá bom", "pode ser", "com certeza", "exato", "isso", "perfeito"),
}
"""Answers that mean yes, by language."""
NO: Final = {
    "en": (
        "no",
        "nope",
        "nah",
        "don't",
        "do not",
        "stop",
        "cancel",
        "cancel it",
        "cancel that",
        "no way",
        "not now",
        "never mind",
    ),
    "de": ("nein", "nee", "nö", "stopp", "lieber nicht", "nicht", "abbrechen", "auf keinen Fall", "lass es"),
    "fr": ("non", "pas du tout", "surtout pas", "annulez", "annuler", "arrêtez", "non non"),
    "es": ("no", "para nada", "cancela", "cancélalo", "cancelar", "mejor no", "ahora no"),
    "it": ("no", "annulla", "meglio di no", "assolutamente no", "lascia stare", "ferma"),
    "nl": ("nee", "neen", "liever niet", "niet doen", "annuleer", "stop", "laat maar"),
    "pt": ("não", "nao", "cancela", "cancelar", "melhor não", "agora não", "deixa"),
}
"""Answers that mean no, by language."""
ENDING: Final = {
    "en": (*("cancel", "call off", "delet", "remov", "terminat", "abort", "unsubscrib", "withdraw"),),
    "de": (
        *("abbrech", "abzubrech", "brech", "stopp", "storn", "lösch", "beend", "kündig", "absag", "abzusag"),
        *("entfern", "streich", "lass"),
    ),
    "fr": ("annul", "arrêt", "stopp", "supprim", "résili", "terminer", "décommand", "laiss"),
    "es": ("cancel", "cancél", "anul", "elimin", "borr", "termina", "deten", "de baja", "dej"),
    "it": ("annull", "ferm", "cancell", "elimin", "disd", "interromp", "termina", "lasc"),
    "nl": ("annul", "stop", "verwijder", "beëindig", "afzeg", "opzeg", "schrap", "laat", "laten"),
    "pt": ("cancel", "anul", "desmarc", "elimin", "apag", "exclu", "encerr", "termina", "deix"),
}
"""Beginnings of verbs such as "cancel", by language. "Cancel it" agrees with a question such as "Shall I cancel it?"."""
_NOUN_OR_VERB = r"(?:end|ending|stop|stopping|drop|dropping|close|closing|quit|quitting)\b"
_VERB = re.compile(
    rf"(?:^|\b(?:i|we|you|to|and) ){_NOUN_OR_VERB}|\b{_NOUN_OR_VERB} (?:it|this|that|these|those|the|your|my|our|all)\b"
)
"""English verbs such as "stop", after "I" or before "the", for example. Elsewhere they may be nouns: "the bus stop"."""
POLITE: Final = (
    *("please", "thanks", "thank you", "thank you very much", "uh", "um", "er", "well", "oh", "ah"),
    *("bitte", "danke", "ähm", "s'il vous plaît", "merci", "por favor", "gracias", "per favore", "grazie"),
    *("alsjeblieft", "alstublieft", "dank je", "dank u", "obrigado", "obrigada"),
)
"""Words that may accompany an answer, but are no answer alone."""


def plain_answer(
    text: str, yes: Iterable[str] = (), no: Iterable[str] = (), *, question: str = ""
) -> Literal["yes", "no"] | None:
    """Return "yes" or "no" if the text is a plain yes or no, else None. `yes` and `no` are additional answers.

    If the `question` asks whether to cancel, stop or end something, an answer such as "cancel it" is left to the
    model: the result is None.
    """
    ending = _ending(question) if question else frozenset()
    agrees, refuses = _phrases(tuple(texts_of("yes", tuple(yes))), tuple(texts_of("no", tuple(no))), ending)
    if agrees.fit(text):
        return "yes"
    return "no" if refuses.fit(text) else None


def _ending(text: str) -> frozenset[str]:
    """Return the languages in which the text contains a verb of ENDING."""
    clauses = [plain_words(clause) for clause in re.split(r"[.,;:!?¿¡]", text)]
    found = {
        language
        for language, verbs in ENDING.items()
        if any(f" {verb}" in f" {clause}" for verb in verbs for clause in clauses)
    }
    return frozenset(found | ({"en"} if any(map(_VERB.search, clauses)) else set()))


@cache
def _phrases(yes: Sequence[str], no: Sequence[str], ending: frozenset[str]) -> tuple[Phrases, Phrases]:
    """Return the phrases for yes and no. Additional answers override known ones: "okay" may mean no for some agents.

    The known answers with a verb of ENDING are omitted in the languages `ending`.
    """
    mine, theirs = {plain_words(one) for one in yes}, {plain_words(one) for one in no}
    agreeing = {one for language in ending for one in NO[language] if language in _ending(one)}
    agree = {plain_words(one) for language in YES.values() for one in language} - theirs | mine
    refuse = {plain_words(one) for language in NO.values() for one in language if one not in agreeing} - mine | theirs
    return Phrases(agree, beside=POLITE), Phrases(refuse, beside=POLITE)
