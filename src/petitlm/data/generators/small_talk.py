"""Greetings and honest refusals in English and French, so that a chat with a very small model stays sensible.

Whatever lies outside the other families is answered by saying so: the model is told what it cannot do.
Level 0 only: nothing here grows harder.
"""

from __future__ import annotations

import re
from random import Random

from petitlm.data.generators.french import accented, elide
from petitlm.data.generators.passage_world import draw_name
from petitlm.data.generators.typing_habits import in_haste
from petitlm.data.record import Problem

FAMILY = "small-talk"
VERSION = 1
LEVEL_WEIGHTS = (1,)
FORM = "dialogue"
LEVELS = (0,)

ABILITIES = {
    "en": "I can do small sums, answer questions about a short text, and turn orders into robot actions.",
    "fr": "Je sais faire de petits calculs, répondre sur un court texte et changer des ordres en actions de robot.",
}
REPLIES = {
    "en": {
        "greet": "Hello! Ask me a sum, a question about a short text, or a robot command.",
        "greet-name": "Hello, {}! What can I do for you?",
        "ability": ABILITIES["en"],
        "identity": "I am petit, a very small language model.",
        "unknown": "I do not know. I only do small sums, short texts and robot commands.",
        "thanks": "You are welcome.",
        "bye": "Goodbye!",
    },
    "fr": {
        "greet": "Bonjour ! Donne-moi un calcul, une question sur un court texte ou un ordre de robot.",
        "greet-name": "Bonjour, {} ! Que puis-je faire pour toi ?",
        "ability": ABILITIES["fr"],
        "identity": "Je suis petit, un très petit modèle de langue.",
        "unknown": "Je ne sais pas. Je ne connais que les petits calculs, les courts textes et les ordres de robot.",
        "thanks": "De rien.",
        "bye": "Au revoir !",
    },
}
_SAY = {
    "en": {
        "greet": ("Hello.", "Hi!", "Hello!", "Hi there.", "Good morning.", "Good evening.", "Hey!"),
        "greet-name": ("Hello, I am {}.", "Hi, my name is {}.", "Good morning, I am {}.", "My name is {}.", "I am {}."),
        "ability": (
            "What can you do?",
            "How can you help me?",
            "What do you know?",
            "What are your abilities?",
            "Help.",
        ),
        "identity": ("Who are you?", "What is your name?", "Are you a robot?", "What are you?", "Are you a person?"),
        "thanks": ("Thank you.", "Thanks!", "Thank you very much.", "Thanks a lot."),
        "bye": ("Goodbye.", "Bye!", "See you soon.", "See you tomorrow."),
    },
    "fr": {
        "greet": ("Bonjour.", "Salut !", "Bonjour !", "Bonsoir.", "Coucou !", "Salut."),
        "greet-name": ("Bonjour, je suis {}.", "Salut, je m'appelle {}.", "Bonsoir, je suis {}.", "Je m'appelle {}."),
        "ability": (
            "Que sais-tu faire ?",
            "Comment peux-tu m'aider ?",
            "Que sais-tu ?",
            "Que peux-tu faire ?",
            "À l'aide.",
        ),
        "identity": ("Qui es-tu ?", "Comment t'appelles-tu ?", "Es-tu un robot ?", "Tu es qui ?", "Es-tu humain ?"),
        "thanks": ("Merci.", "Merci !", "Merci beaucoup.", "Merci bien."),
        "bye": ("Au revoir.", "Au revoir !", "À bientôt.", "À demain.", "Salut, à plus tard."),
    },
}
_OUTSIDE = {
    "en": (
        "Who is the president of {}?", "What is the capital of {}?", "What is the weather in {}?", "Tell me about {}.",
        "Where is {}?", "Who wrote {}?", "Write a poem about {}.", "What do you think of {}?", "When did {} begin?",
        "How far is {}?", "Translate {} into German.", "Do you like {}?",
    ),
    "fr": (
        "Qui est le président {de} ?", "Quelle est la capitale {de} ?", "Parle-moi {de}.", "Que penses-tu {de} ?",
        "Quel est le prix {de} ?", "Qui a écrit l'histoire {de} ?", "Écris un poème au sujet {de}.",
        "Quelle est l'origine {de} ?",
        "Quel temps fait-il près {de} ?", "Raconte-moi l'histoire {de}.", "Quelle est la taille {de} ?",
    ),
}  # fmt: skip
_TOPICS = {
    "en": (
        "France", "Canada", "China", "Japan", "Rome", "London", "the moon", "the sun", "music", "football", "history",
        "chess", "the sea", "the war", "science", "Mars", "Brazil", "Paris", "cinema", "philosophy", "Africa", "Berlin",
    ),
    "fr": (
        "Paris", "Londres", "Rome", "Athènes", "Oslo", "Berlin", "Napoléon", "Molière", "Hugo", "Einstein", "Mozart",
        "Tokyo", "Lyon", "Madrid", "Ankara", "Mars", "Vénus", "Osaka", "Lisbonne", "Istanbul", "Voltaire", "Cuba",
    ),
}  # fmt: skip

# Openings that training never sees; their intents it does.
_HELD_OUT = frozenset(
    {
        "greet/Good evening.", "ability/How can you help me?", "identity/What are you?", "thanks/Thanks a lot.",
        "greet/Bonsoir.", "ability/Que peux-tu faire ?", "identity/Tu es qui ?", "thanks/Merci bien.",
        "unknown/Who wrote {}?", "unknown/Do you like {}?", "unknown/Que penses-tu {de} ?",
        "unknown/Quel est le prix {de} ?",
    }
)  # fmt: skip


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`, an intent with its wording."""
    return structure in _HELD_OUT


_INTENT_SHARES = ("greet", "greet-name", "ability", "identity", "thanks", "bye", "unknown", "unknown", "unknown")


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one remark with its reply; with `held_out`, in a wording that training never sees."""
    while True:
        intent = rng.choice(_INTENT_SHARES)
        wording = rng.choice(_OUTSIDE[language] if intent == "unknown" else _SAY[language][intent])
        structure = f"{intent}/{wording}"
        if is_held_out(structure) == held_out:
            break
    filler = ""
    if intent in ("greet-name", "unknown"):
        filler = draw_name(rng) if intent == "greet-name" else rng.choice(_TOPICS[language])
    question = in_haste(rng, wording.format(filler, de=elide("de", filler)))
    answer = REPLIES[language][intent].format(filler)
    if language == "fr":
        question, answer = accented(question), accented(answer)
    key = f"{FAMILY}:{structure}:{filler}" if filler else ""
    return Problem(FAMILY, language, level, structure, key, question, answer)


# Key words of each intent, the first that fits counts; a group catches the name to greet.
_INTENTS = tuple(
    (intent, re.compile(pattern))
    for intent, pattern in (
        (
            "unknown",
            r"president|président|capital|weather|temps fait|tell me|parle-moi|where is|wrote|poem|poème|think|penses|"
            r"when did|how far|translate|do you like|prix|écrit|histoire|origine|taille",
        ),
        ("greet-name", r"\b(?:i am|my name is|je suis|je m'appelle) (\w+)"),
        ("ability", r"can you|you know|abilities|\bhelp\b|sais-tu|peux-tu|aide"),
        (
            "identity",
            r"who are|what is your name|are you|what are you|qui es-tu|t'appelles|es-tu un|es-tu humain|es qui",
        ),
        ("thanks", r"thank|merci"),
        ("bye", r"bye|see you|au revoir|à bientôt|à demain|à plus"),
        ("greet", r"hello|hi\b|good|hey|bonjour|salut|bonsoir|coucou"),
    )
)


def check(problem: Problem) -> str | None:
    """Say why the reply of `problem` does not fit the key words of its remark; None if it does."""
    remark = problem.question.lower()
    for intent, pattern in _INTENTS:
        if found := pattern.search(remark):
            name = problem.question[found.start(1) : found.end(1)] if intent == "greet-name" else ""
            wanted = REPLIES[problem.language][intent].format(name)
            return None if problem.answer == wanted else f"a remark of kind {intent!r} is answered {wanted!r}"
    return f"no key word in {problem.question!r} tells what is meant"
