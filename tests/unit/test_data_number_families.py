"""The families about numbers, by hand: answers that the second route must accept, wrong ones that it must catch."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from petitlm.data import GENERATORS, Problem

NUMBER_WORDS = [
    ("en", "Write 72 in words.", "seventy-two", "seventy two"),
    ("en", "80,080 in words?", "eighty thousand and eighty", "eighty thousand eighty"),
    ("en", "How do you write two hundred thousand in digits?", "200,000", "200000"),
    ("en", "Say ninety-one in French.", "quatre-vingt-onze", "quatre-vingt-un"),
    ("en", "What is one more than eight hundred and ninety-nine?", "nine hundred", "nine hundreds"),
    ("en", "Put 12th into words.", "twelfth", "twelveth"),
    ("en", "Forty-third, in short?", "43rd", "43th"),
    ("en", "Spell out 7, 21, 100.", "seven, twenty-one, one hundred", "seven, one hundred, twenty-one"),
    ("en", "Count from 60 to 75 in steps of 5.", "sixty, sixty-five, seventy, seventy-five",
     "sixty, sixty-five, seventy"),
    ("fr", "Écris 71 en toutes lettres.", "soixante et onze", "soixante-onze"),
    ("fr", "200 000 en lettres ?", "deux cent mille", "deux cents mille"),
    ("fr", "Mets quatre-vingts millions en chiffres.", "80 000 000", "80 000"),
    ("fr", "Comment dit-on quatre-vingt-dix-neuf en anglais ?", "ninety-nine", "eighty-nine"),
    ("fr", "Avant quatre-vingt-un, quel nombre vient ?", "quatre-vingts", "quatre-vingt"),
    ("fr", "Comment s'écrit 21e ?", "vingt et unième", "vingt-unième"),
    ("fr", "Abrège premier en chiffres.", "1er", "1e"),
    ("fr", "Écris mille cinq ; deux mille en chiffres.", "1005 ; 2000", "1005 ; 200"),
    ("fr", "Compte de soixante-neuf à soixante et onze par pas de 1.", "soixante-neuf, soixante-dix, soixante et onze",
     "soixante-neuf, soixante-dix, septante et un"),
]  # fmt: skip
LARGE_SUMS = [
    ("en", "What is 347 + 285?", "347 + 285 = 632.", "347 + 285 = 622."),
    ("en", "Compute 347 + 285. Show your steps.",
     "7 + 5 = 12, carry 1. 4 + 8 + 1 = 13, carry 1. 3 + 2 + 1 = 6. 347 + 285 = 632.",
     "7 + 5 = 12, carry 1. 4 + 8 = 12, carry 1. 3 + 2 + 1 = 6. 347 + 285 = 632."),
    ("en", "Compute 347 + 285. Show your steps.",
     "7 + 5 = 12, carry 1. 4 + 8 + 1 = 13, carry 1. 3 + 2 + 1 = 6. 347 + 285 = 632.", "347 + 285 = 632."),
    ("en", "Subtract 58 from 503. Write down each step.",
     "13 - 8 = 5, borrow 1. 10 - 5 - 1 = 4, borrow 1. 5 - 0 - 1 = 4. 503 - 58 = 445.",
     "13 - 8 = 5, borrow 1. 10 - 5 = 5, borrow 1. 5 - 0 - 1 = 4. 503 - 58 = 445."),
    ("en", "How much is 47*36? Explain step by step.",
     "47 × 30 = 1410, 47 × 6 = 282. 1410 + 282 = 1692. 47 × 36 = 1692.",
     "47 × 30 = 1410, 47 × 6 = 282. 1410 + 272 = 1692. 47 × 36 = 1692."),
    ("en", "Divide 847 by 6. Show your steps.",
     "8 ÷ 6 = 1 remainder 2. 24 ÷ 6 = 4 remainder 0. 7 ÷ 6 = 1 remainder 1. 847 ÷ 6 = 141 remainder 1.",
     "8 ÷ 6 = 1 remainder 2. 27 ÷ 6 = 4 remainder 3. 37 ÷ 6 = 6 remainder 1. 847 ÷ 6 = 141 remainder 1."),
    ("en", "What is 18 divided by 5?", "18 ÷ 5 = 3 remainder 3.", "18 ÷ 5 = 2 remainder 8."),
    ("en", "Round 4550 to the nearest hundred.", "4550 rounds to 4600.", "4550 rounds to 4500."),
    ("en", "(3+4)×5 = ? Show your steps.", "3 + 4 = 7, 7 × 5 = 35. (3 + 4) × 5 = 35.",
     "4 × 5 = 20, 3 + 20 = 23. (3 + 4) × 5 = 35."),
    ("en", "What is 3 + 4 × 5?", "3 + 4 × 5 = 23.", "3 + 4 × 5 = 35."),
    ("fr", "Ça fait combien, 90 : 7 ?", "90 ÷ 7 = 12 reste 6.", "90 ÷ 7 = 13 reste 6."),
    ("fr", "Que vaut 4567 arrondi à la centaine ? Montre les étapes.",
     "4567 est entre 4500 et 4600. 4567 - 4500 = 67, 4600 - 4567 = 33. 4567 s'arrondit à 4600.",
     "4567 est entre 4500 et 4600. 4567 - 4500 = 33, 4600 - 4567 = 67. 4567 s'arrondit à 4600."),
    ("fr", "Calcule trois mille douze moins mille deux cents.", "3012 - 1200 = 1812.", "3012 - 1200 = 1912."),
    ("fr", "Lequel est plus petit, 70112 ou 70121 ?", "70112 est plus petit que 70121.",
     "70121 est plus petit que 70112."),
    ("fr", "Calcule 2 × 3 + 4 × 5. Explique pas à pas.",
     "2 × 3 = 6, 4 × 5 = 20, 6 + 20 = 26. 2 × 3 + 4 × 5 = 26.",
     "2 × 3 = 6, 6 + 4 = 10, 10 × 5 = 26. 2 × 3 + 4 × 5 = 26."),
]  # fmt: skip
STORIES = [
    ("en", "Marie has 6 flowers. She gives 2 to Hugo. How many flowers does she have now?",
     "6 - 2 = 4. Marie has 4 flowers.", "6 - 2 = 4. Hugo has 4 flowers."),
    ("en", "Oscar has 5 plums. Julie has 3 fewer than Oscar. She gets 5 boxes of 17. How many plums does she have now?",
     "5 - 3 = 2, 5 × 17 = 85, 2 + 85 = 87. Julie has 87 plums.",
     "5 + 3 = 8, 5 × 17 = 85, 8 + 85 = 93. Julie has 93 plums."),
    ("en", "Tom is 9 years old. Tom has 9 pens. He loses 4. How many pens does he have now?",
     "9 - 4 = 5. Tom has 5 pens.", "9 - 4 = 5, 5 + 9 = 14. Tom has 14 pens."),
    ("en", "Max buys 10 pens at 4 euros each. He pays with a 50-euro note. How much change does he get?",
     "10 × 4 = 40, 50 - 40 = 10. Max gets 10 euros back.", "50 - 40 = 10. Max gets 10 euros back."),
    ("en", "Lea has 24 nuts. She gives half of them to Tom. She shares them equally among 4 friends. "
     "How many nuts does each friend get?", "24 ÷ 2 = 12, 12 ÷ 4 = 3. Each friend gets 3 nuts.",
     "24 ÷ 4 = 6, 6 ÷ 2 = 3. Each friend gets 6 nuts."),
    ("en", "Marie has 6 flowers. She gives 2 to Hugo. How many plums does she have now?", "",
     "6 - 2 = 4. Marie has 4 plums."),
    ("fr", "Simon a 9 billes. Emma en a 4 fois autant que Simon. Combien de billes ont Emma et Simon ensemble ?",
     "9 × 4 = 36, 36 + 9 = 45. Emma et Simon ont 45 billes.", "9 × 4 = 36. Emma et Simon ont 36 billes."),
    ("fr", "Il fait 14 degrés dehors. Une salle a 12 rangées de 10 places. 2 classes de 14 élèves s'assoient. "
     "Combien de places sont libres ?", "12 × 10 = 120, 2 × 14 = 28, 120 - 28 = 92. 92 places sont libres.",
     "12 × 10 = 120, 120 - 28 = 92. 92 places sont libres."),
    ("fr", "Léa roule 3 heures à 20 km à l'heure. Elle a prévu 75 km en tout. Combien de kilomètres reste-t-il ?",
     "3 × 20 = 60, 75 - 60 = 15. Il reste 15 km.", "3 × 20 = 60, 75 - 60 = 15. Il reste 25 km."),
    ("fr", "Omar gagne 8 euros par jour et travaille 4 jours. Il avait déjà 10 euros. Combien a-t-il à la fin ?",
     "4 × 8 = 32, 32 + 10 = 42. Omar a 42 euros.", "4 × 8 = 32, 32 + 10 = 42, 42 + 0 = 42. Omar a 42 euros."),
]  # fmt: skip
MEASURES = [
    ("en", "It is 9:50. What time will it be in 2 hours and 15 minutes?", "12:05.", "11:65."),
    ("en", "What time is it 45 minutes before 7:10?", "6:25.", "7:25."),
    ("en", "How long is it from 22:40 to 5:15 the next day?", "6 hours and 35 minutes.", "17 hours and 25 minutes."),
    ("en", "It is 3:20 in Lumo. In Miro it is 6 hours earlier. What time is it in Miro?", "21:20.", "9:20."),
    ("en", "A bus leaves at 9:50, drives for 2 hours and 35 minutes, waits for 48 minutes and drives for 1 hour. "
     "When does it arrive?", "14:13.", "13:25."),
    ("en", "Which month comes before January?", "December.", "February."),
    ("en", "Today is Saturday. What day will it be in 10 days?", "Tuesday.", "Monday."),
    ("en", "What is the date 10 days after 25 February 2024?", "6 March 2024.", "7 March 2024."),
    ("en", "How many days are there from 25 February 2023 to 1 March 2023?", "4 days.", "5 days."),
    ("en", "14 July 1789 is a Tuesday. What day of the week is 26 August 1789?", "Wednesday.", "Tuesday."),
    ("en", "How many days does February 1900 have?", "28 days.", "29 days."),
    ("en", "You give €20 for a hat at €9.90. How much do you get back?", "€10.10.", "€11.10."),
    ("en", "Apples cost €2.40 a kilo. How much do 750 g cost?", "€1.80.", "€18."),
    ("en", "A bag costs €80. The price falls by 15 %. What is the new price?", "€68.", "€92."),
    ("en", "Convert 0.75 m³ to L.", "750 L.", "75 L."),
    ("en", "How much is 72 km/h in m/s?", "20 m/s.", "259.2 m/s."),
    ("en", "Add 3 kg 450 g and 2 kg 875 g.", "6 kg 325 g.", "5 kg 1325 g."),
    ("fr", "Il est 11 h. Quelle heure sera-t-il dans 1 heure et 5 minutes ?", "12 h 05.", "12 h 5."),
    ("fr", "Aujourd'hui, c'est lundi. Quel jour était-on il y a 8 jours ?", "Dimanche.", "Mardi."),
    ("fr", "Quelle est la date 30 jours après le 2 avril 2021 ?", "2 mai 2021.", "1er mai 2021."),
    ("fr", "Nous sommes le 1er mars 2024. Dans combien de jours serons-nous le 1er mars 2025 ?",
     "365 jours.", "366 jours."),
    ("fr", "Combien font 3 pièces de 2 euros et 2 billets de 5 euros ?", "16 €.", "16 euros."),
    ("fr", "Un stylo coûte 1,25 €. Combien coûtent 3 stylos ?", "3,75 €.", "3.75 €."),
    ("fr", "Combien font 2 km 350 m en m ?", "2350 m.", "2,350 m."),
    ("fr", "Écris 2350 m en km.", "2,35 km.", "23,5 km."),
    ("fr", "Un train roule à 90 km/h. Quelle distance parcourt-il en 40 minutes ?", "60 km.", "3600 km."),
    ("fr", "14 h 30 plus tard ?", "", "15 h."),
    ("en", "14 July 1789 is a Monday. What day of the week is 26 August 1789?", "", "Tuesday."),
    ("en", "Convert 3 kg to m.", "", "3 m."),
]  # fmt: skip
CASES = [("arithmetic", *case) for case in LARGE_SUMS]
CASES += [("number-words", *case) for case in NUMBER_WORDS] + [("word-problems", *case) for case in STORIES]
CASES += [("measures", *case) for case in MEASURES]


@pytest.mark.parametrize(("family", "language", "question", "right", "wrong"), CASES)
def test_answers_by_hand(family: str, language: str, question: str, right: str, wrong: str) -> None:
    problem = Problem(family, language, 5, "", "", question, right)
    check = GENERATORS[family].check
    assert not right or check(problem) is None
    assert check(replace(problem, answer=wrong))


EN = (
    "Tom is in the garden. Tom takes the key. Tom walks to the kitchen. Anna is in the kitchen. "
    "Tom gives the key to Anna."
)
FR = (
    "Tom est dans le jardin. Tom prend la clé. Tom va dans la cuisine. Anna est dans la cuisine. "
    "Tom donne la clé à Anna."
)
HISTORY = [
    ("en", EN, "Where was Tom before going to the kitchen?", "Tom was in the garden.", "Tom was in the kitchen."),
    ("en", EN, "Where was Anna before going to the kitchen?", "The text does not say.", "Anna was in the garden."),
    ("en", EN, "Who was the first to take the key?", "Tom was the first to take the key.",
     "Anna was the first to take the key."),
    ("en", EN, "Who gave the key to Anna?", "Tom gave the key to Anna.", "The text does not say."),
    ("en", EN, "How many people are in the kitchen?", "2 people are in the kitchen.", "1 person is in the kitchen."),
    ("fr", FR, "Où était Tom avant d'aller dans la cuisine ?", "Tom était dans le jardin.", "Le texte ne le dit pas."),
    ("fr", FR, "Qui a donné la clé à Tom ?", "Le texte ne le dit pas.", "Anna a donné la clé à Tom."),
    ("fr", FR, "Combien d'objets a Anna ?", "Anna a 1 objet.", "Anna a 1 objets."),
    ("fr", FR, "Combien de personnes sont dans la cuisine ?", "2 personnes sont dans la cuisine.",
     "1 personne est dans la cuisine."),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "question", "right", "wrong"), HISTORY)
def test_the_past_of_a_passage(language: str, text: str, question: str, right: str, wrong: str) -> None:
    problem = Problem("passages", language, 4, "", "", question, right, text)
    check = GENERATORS["passages"].check
    assert check(problem) is None
    assert check(replace(problem, answer=wrong))


@pytest.mark.parametrize("family", ["arithmetic", "passages", "number-words", "word-problems", "measures"])
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("level", range(6))
def test_any_changed_digit_or_lost_word_is_caught(family: str, language: str, level: int) -> None:
    made_by, rng = GENERATORS[family], Random(level)
    for held_out in [False] * 30 + [True] * 5:
        problem = made_by.draw(rng, language, level, held_out)
        answer, digits = problem.answer, "0123456789"
        assert made_by.check(problem) is None
        wrong = [answer[:at] + str((int(c) + 1) % 10) + answer[at + 1 :] for at, c in enumerate(answer) if c in digits]
        words = answer.split(" ")
        wrong += [" ".join(words[:at] + words[at + 1 :]) for at in range(len(words))]
        for changed in wrong:
            assert made_by.check(replace(problem, answer=changed)), (problem, changed)


def test_one_number_has_one_key_in_both_families_that_spell_it() -> None:
    rng = Random(4)
    spelt = {GENERATORS["arithmetic"].draw(rng, "fr", 2, False).key for _ in range(3000)}
    asked = {GENERATORS["number-words"].draw(rng, "fr", 1, False).key for _ in range(3000)}
    assert len(spelt & asked) > 20
