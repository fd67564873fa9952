"""What the instructions say, in English and French, and the words that they are about.

No word has an accent or a capital, so that every way to put them in order agrees.
"""

from __future__ import annotations

WORDS = {
    "en": (
        "apple", "bridge", "candle", "desk", "engine", "forest", "garden", "hammer", "island", "jacket",
        "kettle", "lemon",
        "mirror", "needle", "orange", "pencil", "queen", "river", "silver", "table", "umbrella", "village", "window",
        "yellow", "zebra", "bread", "cloud", "dragon", "egg", "fish", "glass", "horse", "ink", "jungle",
        "king", "ladder",
        "moon", "night", "ocean", "paper", "rabbit", "sugar", "tiger", "valley", "water", "anchor", "button", "castle",
        "dinner", "feather", "guitar", "helmet", "insect", "market", "nurse", "office", "planet", "rocket", "summer",
        "turtle", "violin", "winter", "basket", "camera", "doctor", "farm", "ghost", "hotel", "letter", "music",
    ),
    "fr": (
        "arbre", "balcon", "cerise", "dragon", "encre", "feuille", "gomme", "herbe", "image", "jardin", "kiwi", "lampe",
        "maison", "nuage", "orange", "panier", "quai", "renard", "sable", "table", "usine", "village", "wagon", "zoo",
        "avion", "bateau", "canard", "docteur", "escargot", "fromage", "girafe", "hiver", "journal", "lapin", "miroir",
        "navire", "oiseau", "papier", "route", "soleil", "tortue", "vache", "assiette", "brosse", "chemin", "dessin",
        "farine", "genou", "horloge", "jupe", "livre", "montagne", "neige", "ombre", "plage", "raisin",
        "sapin", "tigre",
        "verre", "argent", "bougie", "citron", "doigt", "four", "guitare", "huile", "lune", "mouton", "nid", "pont",
    ),
}  # fmt: skip
LETTERS = "aeiorntsl"

INTRO = {
    "en": {"words": "Words: {}.", "numbers": "Numbers: {}.", "word": "Word: {}."},
    "fr": {"words": "Mots : {}.", "numbers": "Nombres : {}.", "word": "Mot : {}."},
}
# A step with `:kind` is said so for that kind alone.
STEPS = {
    "en": {
        "sort": ("put them in alphabetical order", "sort them from A to Z"),
        "sort:numbers": ("sort them from smallest to largest", "put them in increasing order"),
        "sort-down": ("put them in reverse alphabetical order", "sort them from Z to A"),
        "sort-down:numbers": ("sort them from largest to smallest", "put them in decreasing order"),
        "reverse": ("reverse the list", "give the list backwards"),
        "drop-first": ("remove the first one", "leave out the first one"),
        "drop-last": ("remove the last one", "leave out the last one"),
        "longer": ("keep only those with more than {n} letters", "keep the words longer than {n} letters"),
        "shorter": ("keep only those with fewer than {n} letters", "keep the words shorter than {n} letters"),
        "with-letter": ('keep only those that contain the letter "{letter}"',
                        'keep the words with the letter "{letter}"'),
        "upper": ("write them in capital letters",), "upper:word": ("write it in capital letters",),
        "swap-ends": ("swap the first and the last one", "exchange the first and the last one"),
        "by-length": ("sort them from the shortest word to the longest", "put them in order of length, shortest first"),
        "nth": ("give the {nth} one", "say which one is {nth}"), "count": ("count them", "say how many there are"),
        "initials": ("join their first letters", "write the word made of their first letters"),
        "longest": ("give the longest word", "give the one with the most letters"),
        "even": ("keep only the even ones", "keep the even numbers"),
        "odd": ("keep only the odd ones", "keep the odd numbers"),
        "above": ("keep only those greater than {n}", "keep the numbers above {n}"), "double": ("double each of them",),
        "add": ("add {n} to each of them",), "sum": ("add them all up", "give their sum"),
        "largest": ("give the largest one",),
        "reverse-word": ("write it backwards", "spell it from the end to the beginning"),
        "without-letter": ('remove every letter "{letter}" from it', 'write it without the letter "{letter}"'),
        "double-last": ("write its last letter twice", "repeat its last letter once more"),
        "count-letter": ('count how often the letter "{letter}" occurs in it', 'count its letters "{letter}"'),
        "length": ("count its letters", "say how many letters it has"),
        "nth-letter": ("give its {nth} letter",), "first-letters": ("keep only its first {n} letters",),
    },
    "fr": {
        "sort": ("mets-les dans l'ordre alphabétique", "trie-les de A à Z"),
        "sort:numbers": ("trie-les du plus petit au plus grand", "mets-les dans l'ordre croissant"),
        "sort-down": ("mets-les dans l'ordre alphabétique inverse", "trie-les de Z à A"),
        "sort-down:numbers": ("trie-les du plus grand au plus petit", "mets-les dans l'ordre décroissant"),
        "reverse": ("renverse la liste", "donne la liste à l'envers"),
        "drop-first": ("retire le premier", "laisse de côté le premier"),
        "drop-last": ("retire le dernier", "laisse de côté le dernier"),
        "longer": ("garde seulement ceux de plus de {n} lettres", "garde les mots de plus de {n} lettres"),
        "shorter": ("garde seulement ceux de moins de {n} lettres", "garde les mots de moins de {n} lettres"),
        "with-letter": ("garde seulement ceux qui contiennent la lettre « {letter} »",
                        "garde les mots avec la lettre « {letter} »"),
        "upper": ("écris-les en majuscules",), "upper:word": ("écris-le en majuscules",),
        "swap-ends": ("échange le premier et le dernier", "intervertis le premier et le dernier"),
        "by-length": ("trie-les du mot le plus court au plus long",
                      "mets-les par ordre de longueur, le plus court d'abord"),
        "nth": ("donne le {nth}", "dis lequel est le {nth}"), "count": ("compte-les", "dis combien il y en a"),
        "initials": ("assemble leurs premières lettres", "écris le mot formé de leurs premières lettres"),
        "longest": ("donne le mot le plus long", "donne celui qui a le plus de lettres"),
        "even": ("garde seulement les pairs", "garde les nombres pairs"),
        "odd": ("garde seulement les impairs", "garde les nombres impairs"),
        "above": ("garde seulement ceux qui dépassent {n}", "garde les nombres au-dessus de {n}"),
        "double": ("double chacun d'eux",), "add": ("ajoute {n} à chacun d'eux",),
        "sum": ("additionne-les tous", "donne leur somme"), "largest": ("donne le plus grand",),
        "reverse-word": ("écris-le à l'envers", "épelle-le de la fin au début"),
        "without-letter": ("retire-lui chaque lettre « {letter} »", "écris-le sans la lettre « {letter} »"),
        "double-last": ("écris deux fois sa dernière lettre", "répète une fois sa dernière lettre"),
        "count-letter": ("compte combien de fois la lettre « {letter} » y figure", "compte ses lettres « {letter} »"),
        "length": ("compte ses lettres", "dis combien de lettres il a"),
        "nth-letter": ("donne sa {nth} lettre",), "first-letters": ("garde seulement ses {n} premières lettres",),
    },
}  # fmt: skip
OPENINGS = {"en": ("First, ", "Then ", "Finally, "), "fr": ("D'abord, ", "Ensuite, ", "Enfin, ")}
CLOSING = {
    "en": ("What is the result?", "Give only the result."),
    "fr": ("Quel est le résultat ?", "Donne seulement le résultat."),
}
FORMS = {
    "en": {
        "dashes": "Separate what is left by dashes.", "slashes": "Separate what is left by slashes.",
        "brackets": "Write the result in square brackets.", "numbered": "Number the result, one item a line.",
    },
    "fr": {
        "dashes": "Sépare ce qui reste par des tirets.", "slashes": "Sépare ce qui reste par des barres obliques.",
        "brackets": "Écris le résultat entre crochets.", "numbered": "Numérote le résultat, un élément par ligne.",
    },
}  # fmt: skip
