"""Translation, grammar, stories, dialogue by hand: what the second routes accept, planted mistakes they must catch."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

import pytest

from petitlm.data import GENERATORS, Problem

TRANSLATIONS = [
    ("Translate into French: The old man is tired.", "Le vieil homme est fatigué.", "Le vieux homme est fatigué."),
    ("Translate into French: Paul invited her.", "Paul l'a invitée.", "Paul l'a invité."),
    ("Put this into French: We do not have a dog.", "Nous n'avons pas de chien.", "Nous n'avons pas un chien."),
    ("Traduis en anglais : La souris a mangé du fromage.", "The mouse ate cheese.", "The mouse ate the cheese."),
    ("Traduis en anglais : Elles ne dorment pas.", "They do not sleep.", "They do not sleeps."),
    ("How do you say this in English? Est-ce que tu vois la clé ?", "Do you see the key?", "Did you see the key?"),
    ("Traduis en français : The girls fell yesterday.",
     "Les filles sont tombées hier.", "Les filles sont tombés hier."),
    ("Traduis en français : Nora says that he will go to the market.", "Nora dit qu'il ira au marché.",
     "Nora dit qu'elle ira au marché."),
]  # fmt: skip


@pytest.mark.parametrize(("question", "right", "wrong"), TRANSLATIONS)
def test_translations(question: str, right: str, wrong: str) -> None:
    problem = Problem("translation", "en", 0, "", "", question, right)
    check = GENERATORS["translation"].check
    assert check(problem) is None
    assert check(replace(problem, answer=wrong))


def test_what_has_two_translations_is_not_asked() -> None:
    check = GENERATORS["translation"].check
    sleep = Problem("translation", "en", 0, "", "", "Translate into French: They sleep.", "Ils dorment.")
    assert "can mean what" in str(check(sleep))
    assert check(replace(sleep, question="Translate into English: Ils dorment.", answer="They sleep.")) is None
    assert "what is asked" in str(check(replace(sleep, question="Into Latin: They sleep.")))


PAIRS = [
    ("en", "Which sentence is correct? (1) The girls sing. (2) The girls sings.",
     "The girls sing.", "The girls sings."),
    ("en", "Correct the verb: He did not went to the park.", "He did not go to the park.",
     "He did not went to the park."),
    ("en", "Complete with the verb “go” in the past: Anna ___ to the market.", "Anna went to the market.",
     "Anna goed to the market."),
    ("fr", "Corrige l'élision : La école est vide.", "L'école est vide.", "La école est vide."),
    ("fr", "Corrige la place du pronom : Anna aide les.", "Anna les aide.", "Anna aide les."),
    ("fr", "Quelle phrase est correcte ? (1) Nora est allé au parc. (2) Nora est allée au parc.",
     "Nora est allée au parc.", "Nora est allé au parc."),
    ("fr", "Complète avec le verbe « boire » au passé composé : Le chat ___ du lait.", "Le chat a bu du lait.",
     "Le chat ont bu du lait."),
]  # fmt: skip


@pytest.mark.parametrize(("language", "question", "right", "wrong"), PAIRS)
def test_grammar(language: str, question: str, right: str, wrong: str) -> None:
    problem = Problem("grammar", language, 0, "", "", question, right, "", wrong)
    check = GENERATORS["grammar"].check
    assert check(problem) is None
    assert check(replace(problem, answer=wrong, foil=right))
    assert check(replace(problem, foil=right)), "two right halves"
    assert check(replace(problem, answer="Paul dort." if language == "fr" else "Paul sleeps."))


def test_a_blank_wants_its_own_verb_and_tense() -> None:
    question, right, wrong = PAIRS[2][1:]
    check = GENERATORS["grammar"].check
    problem = Problem("grammar", "en", 0, "", "", question, right, "", wrong)
    for other in ("Anna returned to the market.", "Anna goes to the market.", "Anna will go to the market."):
        assert check(replace(problem, answer=other))


def test_every_foil_differs_from_its_answer_in_few_words() -> None:
    rng = Random(2)
    for at in range(300):
        problem = GENERATORS["grammar"].draw(rng, ("en", "fr")[at % 2], at % 6, False)
        right, wrong = (set(re.findall(r"\w+", text)) for text in (problem.answer, problem.foil))
        assert problem.foil != problem.answer
        assert len(right ^ wrong) <= 4, problem


STORY = (
    "Lucie était une renarde timide qui vivait près du moulin. Un matin, Lucie vit que la clé d'or avait disparu, et "
    "voulut la retrouver. Mais une large rivière coupait le chemin, et il n'y avait pas de pont. Alice ne savait plus "
    "que faire. {H} ramassa des branches tout l'après-midi et construisit un radeau pour traverser la rivière. "
    "Enfin, Alice retrouva la clé d'or. Un bon travail n'est jamais fait en vain."
).replace("Lucie", "Alice")
ASKED = ("Écris une histoire en 7 phrases sur Alice, une renarde timide, qui cherche la clé d'or. Thème : travail. "
         "Style : simple.")  # fmt: skip


def _story(text: str, question: str = ASKED) -> Problem:
    return Problem("stories", "fr", 0, "", "", question, text)


def test_a_story_that_holds_together() -> None:
    check = GENERATORS["stories"].check
    assert check(_story(STORY.replace("{H}", "Alice"))) is None
    assert check(_story(STORY.replace("{H}", "Elle"))) is None


BREAKS = [
    ("{H}", "Il", "pronoun"),
    ("une renarde", "un renard", "open"),
    ("Enfin, Alice retrouva la clé d'or.", "Enfin, Alice retrouva le tambour.", "wished for and had"),
    ("Enfin, Alice retrouva la clé d'or.", "Enfin, Paul retrouva la clé d'or.", "introduced"),
    ("construisit un radeau pour traverser la rivière", "les compta", "spirit"),
    ("Un bon travail n'est jamais fait en vain.", "La patience montre le chemin.", "moral"),
    ("ne savait plus que faire", "est triste", "past"),
    ("Alice ne savait plus que faire.", "Tout à coup, un orage éclata.", "another obstacle"),
    ("Alice ne savait plus que faire.", "« Que faire ? » dit Alice.", "style"),
    ("Alice ne savait plus que faire. ", "", "7 sentences"),
    ("Enfin, Alice retrouva la clé d'or.", "Alice retrouva la clé d'or.", "in a row"),
    ("Alice ne savait plus que faire.", "Enfin, Alice retrouva la clé d'or.", "different"),
]


@pytest.mark.parametrize(("said", "instead", "reason"), BREAKS)
def test_a_story_that_breaks_somewhere(said: str, instead: str, reason: str) -> None:
    broken = STORY.replace(said, instead).replace("{H}", "Alice")
    assert broken != STORY
    assert reason in str(GENERATORS["stories"].check(_story(broken)))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_story_told_in_another_order_is_caught(language: str) -> None:
    """The obstacle after it is overcome, or the wish come true before: caught in every story."""
    rng = Random(4)
    made_by = GENERATORS["stories"]
    for level in range(6):
        for _ in range(20):
            problem = made_by.draw(rng, language, level, False)
            first, *middle, last = re.split(r"(?<=[.!?]) (?=[A-ZÀÂÉÈÊÎÔ“«])", problem.answer)
            assert made_by.check(replace(problem, answer=" ".join([first, *middle[::-1], last]))), problem


def test_story_labels_are_kept() -> None:
    rng = Random(5)
    made_by = GENERATORS["stories"]
    for level, n_sentences in enumerate((7, 9, 11, 15, 18, 22)):
        problem = made_by.draw(rng, "en", level, False)
        assert f" {n_sentences} sentences" in problem.question
        for label, other in (("Theme: ", "Theme: un"), (f"{n_sentences} sen", "3 sen"), ("Style: ", "Style: un")):
            assert made_by.check(replace(problem, question=problem.question.replace(label, other)))


DIALOGUE = """\
The restaurant is closed on Mondays. It takes six people at most, and the last table is at 9 in the evening.
Customer: Hello. I would like to book a table on Monday.
Clerk: We are closed on Mondays. Which other day would suit you?
Customer: On Friday, eight people.
Clerk: Six people is the most we can take. How many will there be?
Customer: Five people. Sorry, I mean four people.
Clerk: At what time?
Customer: Not too late.
Clerk: What time exactly?
Customer: Do you sell bicycles too?
Clerk: I am sorry, I only book tables. What time exactly?
Customer: At 8 in the evening.
What does the clerk say next?"""
RIGHT = "A table for four people on Friday at 8 in the evening. Is that right?"


def test_a_dialogue_replayed() -> None:
    check = GENERATORS["dialogue"].check
    problem = Problem("dialogue", "en", 5, "", "", DIALOGUE, RIGHT)
    assert check(problem) is None
    for wrong in ("A table for five people on Friday at 8 in the evening. Is that right?", "At what time?",
                  "A table for four people on Monday at 8 in the evening. Is that right?", "For how many people?",
                  "A table for four people on Friday. Is that right?", "Thank you, it is noted. Goodbye!",
                  "We are closed on Mondays. Which other day would suit you?"):  # fmt: skip
        assert check(replace(problem, answer=wrong)), wrong
    asked = DIALOGUE.replace("What does the clerk say next?", "What does the customer want so far?")
    state = replace(problem, question=asked, answer="A table for four people on Friday at 8 in the evening.")
    assert check(state) is None
    assert check(replace(state, answer="A table for four people on Friday."))


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("We are closed on Mondays. Which", "There are no trains on Mondays. Which other time"),
        ("Six people is the most", "Seven people is the most"),
        ("Clerk: What time exactly?", "Clerk: At what time?"),
        ("I am sorry, I only book tables. ", ""),
        ("Customer: Not too late.", "Customer: At 8 in the evening."),
        ("closed on Mondays. It", "closed on Fridays. It"),
    ],
)
def test_a_clerk_who_errs_earlier_is_caught(said: str, instead: str) -> None:
    problem = Problem("dialogue", "en", 5, "", "", DIALOGUE.replace(said, instead, 1), RIGHT)
    assert problem.question != DIALOGUE
    assert GENERATORS["dialogue"].check(problem)


def test_a_french_dialogue() -> None:
    said = ("Il n'y a pas de pizza au thon aujourd'hui. On peut commander six pizzas au plus.\n"
            "Client : Bonjour. Pourrais-je avoir de grandes pizzas au thon, s'il vous plaît ?\n"
            "Employé : Il n'y a pas de pizza au thon aujourd'hui. Quelle autre pizza voulez-vous ?\n"
            "Client : Au jambon.\nEmployé : Combien de pizzas voulez-vous ?\nClient : Une pizza.\n"
            "Que dit ensuite l'employé ?")  # fmt: skip
    problem = Problem("dialogue", "fr", 4, "", "", said, "Une grande pizza au jambon. Est-ce bien cela ?")
    check = GENERATORS["dialogue"].check
    assert check(problem) is None
    assert check(replace(problem, answer="Une petite pizza au jambon. Est-ce bien cela ?"))
    assert check(replace(problem, answer="Une grande pizza au thon. Est-ce bien cela ?"))
    assert check(replace(problem, question=said.replace("On peut commander six", "On peut commander zéro"), answer="?"))
