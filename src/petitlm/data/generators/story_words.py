"""Who the short stories are about, where they live and what they look for, English and French."""

from __future__ import annotations

from typing import NamedTuple

from petitlm.data.generators.realiser_words import FEMININE


class Kind(NamedTuple):
    """What a character is; the English word for women only where it differs."""

    en: str
    en_f: str
    fr: str
    fr_f: str

    def said(self, language: str, gender: str) -> str:
        """The noun for a man or a woman, a male or a female."""
        if language == "en":
            return self.en_f if gender == FEMININE else self.en
        return self.fr_f if gender == FEMININE else self.fr


class Trait(NamedTuple):
    """What a character is like."""

    en: str
    fr: str
    fr_f: str

    def said(self, language: str, gender: str) -> str:
        """The adjective, agreed in French."""
        return self.en if language == "en" else self.fr_f if gender == FEMININE else self.fr


class Goal(NamedTuple):
    """What a story is after: something `lost`, something to `fetch`, somewhere to `reach`."""

    way: str
    en: str
    fr: str
    it: str = "le"
    """French pronoun of the thing."""
    en_for: str = ""
    fr_for: str = ""
    """What it is fetched for."""


_KINDS = """
boy girl garçon fille; prince princess prince princesse; fox fox renard renarde; cat cat chat chatte;
dog dog chien chienne; rabbit rabbit lapin lapine; bear bear ours ourse; wolf wolf loup louve; lion lion lion lionne;
donkey donkey âne ânesse; shepherd shepherdess berger bergère; baker baker boulanger boulangère;
gardener gardener jardinier jardinière; miller miller meunier meunière; musician musician musicien musicienne;
magician magician magicien magicienne; inventor inventor inventeur inventrice; pupil pupil écolier écolière;
farmer farmer fermier fermière; weaver weaver tisserand tisserande
"""
_TRAITS = """
shy timide timide; curious curieux curieuse; brave courageux courageuse; patient patient patiente;
kind gentil gentille; cunning rusé rusée; stubborn têtu têtue; cheerful joyeux joyeuse; lazy paresseux paresseuse;
dreamy rêveur rêveuse; honest honnête honnête; proud fier fière; calm calme calme; generous généreux généreuse;
clumsy maladroit maladroite; serious sérieux sérieuse
"""
KINDS = tuple(Kind(*row.split()) for row in _KINDS.split(";"))
TRAITS = tuple(Trait(*row.split()) for row in _TRAITS.split(";"))
HOMES = (
    ("near the mill", "près du moulin"), ("at the edge of the woods", "à la lisière du bois"),
    ("by the lake", "au bord du lac"), ("on a green hill", "sur une colline verte"),
    ("in a quiet valley", "dans une vallée tranquille"), ("behind the old church", "derrière la vieille église"),
    ("next to the harbour", "à côté du port"), ("under a great oak", "sous un grand chêne"),
    ("at the end of a long road", "au bout d'un long chemin"), ("between two fields", "entre deux champs"),
    ("near the white mountains", "près des montagnes blanches"),
    ("in a village of fishermen", "dans un village de pêcheurs"),
)  # fmt: skip
TIMES = (
    ("One morning", "Un matin"), ("One day", "Un jour"), ("On a cold winter morning", "Par un froid matin d'hiver"),
    ("On the first day of spring", "Le premier jour du printemps"), ("One evening", "Un soir"),
    ("One Sunday", "Un dimanche"), ("Just before the summer", "Juste avant l'été"),
    ("After a long night of rain", "Après une longue nuit de pluie"), ("At the end of autumn", "À la fin de l'automne"),
)  # fmt: skip
GOALS = (
    Goal("lost", "the blue kite", "le cerf-volant bleu"), Goal("lost", "the silver bell", "la clochette d'argent",
    "la"),
    Goal("lost", "the wooden flute", "la flûte en bois", "la"), Goal("lost", "the red scarf", "le foulard rouge"),
    Goal("lost", "the old map", "la vieille carte", "la"), Goal("lost", "the golden key", "la clé d'or", "la"),
    Goal("lost", "the little drum", "le petit tambour"), Goal("lost", "the green hat", "le chapeau vert"),
    Goal("lost", "the music box", "la boîte à musique", "la"), Goal("lost", "the glass marble", "la bille de verre",
    "la"),
    Goal("fetch", "some honey", "du miel", "", "a birthday cake", "un gâteau d'anniversaire"),
    Goal("fetch", "some wood", "du bois", "", "the long winter", "le long hiver"),
    Goal("fetch", "some herbs", "des herbes", "", "a sick grandfather", "un grand-père malade"),
    Goal("fetch", "some apples", "des pommes", "", "the feast of the village", "la fête du village"),
    Goal("fetch", "some clay", "de l'argile", "", "a new oven", "un nouveau four"),
    Goal("fetch", "some wool", "de la laine", "", "a warm blanket", "une couverture chaude"),
    Goal("fetch", "some seeds", "des graines", "", "an empty garden", "un jardin vide"),
    Goal("reach", "the sea", "la mer", "la"), Goal("reach", "the old lighthouse", "le vieux phare"),
    Goal("reach", "the great waterfall", "la grande cascade", "la"),
    Goal("reach", "the lights of the city", "les lumières de la ville", "les"),
    Goal("reach", "the castle of the giants", "le château des géants"),
    Goal("reach", "the market of the south", "le marché du sud"),
    Goal("reach", "the island of birds", "l'île aux oiseaux", "la"),
)  # fmt: skip
