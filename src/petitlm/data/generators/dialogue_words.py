"""What is said at four counters, English and French: restaurant, station, pizzeria, hairdresser."""

from __future__ import annotations

DOMAINS: dict[str, tuple[str, ...]] = {
    "table": ("people", "day", "hour"),
    "train": ("city", "day", "tickets"),
    "pizza": ("kind", "size", "pizzas"),
    "haircut": ("day", "hour", "name"),
}
"""Slots in the order in which the clerk asks for them."""
COUNTED = ("people", "tickets", "pizzas")

DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
}
CITIES = ("Lyon", "Lille", "Nantes", "Paris", "Rennes", "Tours", "Dijon", "Metz", "Nice", "Toulouse", "Brest", "Reims",
          "Nancy", "Rouen", "Bordeaux", "Grenoble")  # fmt: skip
NAMES = ("Emma", "Paul", "Sara", "Karim", "Louise", "Victor", "Nora", "Martin", "Alice", "Simon", "Rosa", "Oscar",
         "Anna", "Thomas", "Julie", "Adam", "Clara", "Lucas", "Amina", "Noah")  # fmt: skip
KINDS = {
    "en": ("ham", "cheese", "mushroom", "tuna", "pepper"),
    "fr": ("au jambon", "au fromage", "aux champignons", "au thon", "aux poivrons"),
}
SIZES = {"en": ("small", "large"), "fr": ("petite", "grande")}
COUNTS = {
    "en": {"people": ("person", "people"), "tickets": ("ticket", "tickets"), "pizzas": ("pizza", "pizzas")},
    "fr": {"people": ("personne", "personnes"), "tickets": ("billet", "billets"), "pizzas": ("pizza", "pizzas")},
}
FEMININE_COUNTS = ("people", "pizzas")
SPEAKERS = {"en": ("Customer:", "Clerk:"), "fr": ("Client :", "Employé :")}

# The rules of the house: {day} every week, {most} the largest number, {hour} the last hour, {cities} after `to`.
RULES = {
    "en": {
        "table": (
            "The restaurant is closed on {day}. It takes {most} at most, and the last table is {hour}.",
            "Restaurant rules: closed on {day}, {most} at most, last table {hour}.",
            "Our restaurant opens every day but {day}. Nobody sits down later than {hour}. The limit is {most}.",
        ),
        "train": (
            "There are no trains on {day}. Trains go to {cities}. One person can buy {most} at most.",
            "From this station, trains go to {cities}, but not on {day}. The limit is {most}.",
            "Train counter: destinations {cities}; no trains on {day}; {most} at most.",
        ),
        "pizza": (
            "There is no {kind} pizza today. One customer can order {most} at most.",
            "Today the oven is small: {most} at most, and no {kind} pizza.",
            "The pizza cook has run out of {kind}. The limit is {most}.",
        ),
        "haircut": (
            "The hairdresser is closed on {day}, and the last appointment is {hour}.",
            "Hairdresser: last appointment {hour}, closed on {day}.",
            "Our hairdresser works every day but {day}, and never begins later than {hour}.",
        ),
    },
    "fr": {
        "table": (
            "Le restaurant est fermé le {day}. Il reçoit {most} au plus, et la dernière table est {hour}.",
            "Règles du restaurant : fermé le {day}, {most} au plus, dernière table {hour}.",
            "Notre restaurant ouvre tous les jours sauf le {day}. La dernière table est {hour}. "
            "La limite est de {most}.",
        ),
        "train": (
            "Il n'y a pas de train le {day}. Les trains vont à {cities}. On peut acheter {most} au plus.",
            "Depuis cette gare, les trains vont à {cities}, mais pas le {day}. La limite est de {most}.",
            "Guichet des trains : pas de départ le {day}, {most} au plus. On peut aller à {cities}.",
        ),
        "pizza": (
            "Il n'y a pas de pizza {kind} aujourd'hui. On peut commander {most} au plus.",
            "Aujourd'hui, le four est petit : {most} au plus, et pas de pizza {kind}.",
            "La limite est de {most}. La pizza {kind} n'est plus à la carte.",
        ),
        "haircut": (
            "Le salon de coiffure est fermé le {day}, et le dernier rendez-vous est {hour}.",
            "Salon de coiffure : dernier rendez-vous {hour}, fermé le {day}.",
            "Notre salon de coiffure ouvre tous les jours sauf le {day}, avec un dernier rendez-vous {hour}.",
        ),
    },
}
OPENINGS = {
    "en": {
        "table": ("I would like to book {np}.", "Could I have {np}, please?", "We would like {np}.", "{Np}, please."),
        "train": ("I would like to book {np}.", "I need {np}, please.", "We would like {np}.", "{Np}, please."),
        "pizza": ("I would like to order {np}.", "Could I have {np}, please?", "We would like {np}.", "{Np}, please."),
        "haircut": ("I would like {np}.", "I need {np}.", "Could I have {np}, please?", "{Np}, please."),
    },
    "fr": {
        "table": ("Je voudrais réserver {np}.", "Pourrais-je avoir {np}, s'il vous plaît ?", "Nous voudrions {np}.",
                  "{Np}, s'il vous plaît."),
        "train": ("Je voudrais réserver {np}.", "Il me faut {np}, s'il vous plaît.", "Nous voudrions {np}.",
                  "{Np}, s'il vous plaît."),
        "pizza": ("Je voudrais commander {np}.", "Pourrais-je avoir {np}, s'il vous plaît ?", "Nous voudrions {np}.",
                  "{Np}, s'il vous plaît."),
        "haircut": ("Je voudrais {np}.", "J'aurais besoin d'{np}.", "Pourrais-je avoir {np} ?",
                    "{Np}, s'il vous plaît."),
    },
}  # fmt: skip
ANSWERS = {
    "en": ("{}.", "{}.", "{}, please.", "{}, if possible.", "{}, I think.", "Let us say {}."),
    "fr": ("{}.", "{}.", "{}, s'il vous plaît.", "{}, si possible.", "{}, je crois.", "Disons {}."),
}
"""The first three suit a name too."""
GREETINGS = {"en": ("Hello.", "Good morning.", "Good evening."), "fr": ("Bonjour.", "Bonsoir.", "Bonjour à vous.")}
SELVES = {"en": "My name is {}.", "fr": "Je m'appelle {}."}
ASKS = {
    "en": {
        "people": "For how many people?", "day": "Which day would you like?", "hour": "At what time?",
        "city": "Where would you like to go?", "tickets": "How many tickets do you need?",
        "kind": "Which pizza would you like?", "size": "Small or large?", "pizzas": "How many pizzas do you want?",
        "name": "What is your name?",
    },
    "fr": {
        "people": "Pour combien de personnes ?", "day": "Quel jour souhaitez-vous ?", "hour": "À quelle heure ?",
        "city": "Où souhaitez-vous aller ?", "tickets": "Combien de billets vous faut-il ?",
        "kind": "Quelle pizza voulez-vous ?", "size": "Petite ou grande ?", "pizzas": "Combien de pizzas voulez-vous ?",
        "name": "Quel est votre nom ?",
    },
}  # fmt: skip
CLARIFIES = {
    "en": {
        "people": "How many people exactly?", "day": "Which day exactly?", "hour": "What time exactly?",
        "city": "Which city exactly?", "tickets": "How many tickets exactly?", "kind": "Which pizza exactly?",
        "size": "Small or large, exactly?", "pizzas": "How many pizzas exactly?",
    },
    "fr": {
        "people": "Combien de personnes exactement ?", "day": "Quel jour exactement ?",
        "hour": "Quelle heure exactement ?", "city": "Quelle ville exactement ?",
        "tickets": "Combien de billets exactement ?", "kind": "Quelle pizza exactement ?",
        "size": "Petite ou grande, exactement ?", "pizzas": "Combien de pizzas exactement ?",
    },
}  # fmt: skip
VAGUE = {
    "en": {
        "people": ("Just a few of us.", "I am not sure, several."), "day": ("One day this week.", "Soon."),
        "hour": ("Not too late.", "After work."), "city": ("Somewhere in the south.", "To the sea."),
        "tickets": ("A few.", "Enough for the family."), "kind": ("Something good.", "The best one."),
        "size": ("Whatever you think.", "Not too big."), "pizzas": ("A few.", "Enough for everyone."),
    },
    "fr": {
        "people": ("Quelques-uns.", "Je ne sais pas, plusieurs."), "day": ("Un jour de la semaine.", "Bientôt."),
        "hour": ("Pas trop tard.", "Après le travail."), "city": ("Quelque part dans le sud.", "Vers la mer."),
        "tickets": ("Quelques-uns.", "Assez pour la famille."), "kind": ("Quelque chose de bon.", "La meilleure."),
        "size": ("Comme vous voulez.", "Pas trop grosse."), "pizzas": ("Quelques-unes.", "Assez pour tout le monde."),
    },
}  # fmt: skip
# What cannot be had: {} is the value with its words.
DECLINES = {
    "en": {
        "people": "{most} is the most we can take. How many will there be?",
        "tickets": "{most} is the most you can buy. How many would you like?",
        "pizzas": "{most} is the most you can order. How many would you like?",
        "day": "We are closed on {day}. Which other day would suit you?",
        "train-day": "There are no trains on {day}. Which other day would suit you?",
        "hour": "That is too late for us. At what other time?",
        "city": "No train goes to {city}. Where else would you like to go?",
        "kind": "There is no {kind} pizza today. Which other pizza would you like?",
    },
    "fr": {
        "people": "{most}, c'est le maximum. Combien serez-vous ?",
        "tickets": "{most}, c'est le maximum. Combien en voulez-vous ?",
        "pizzas": "{most}, c'est le maximum. Combien en voulez-vous ?",
        "day": "Nous sommes fermés le {day}. Quel autre jour vous conviendrait ?",
        "train-day": "Il n'y a pas de train le {day}. Quel autre jour vous conviendrait ?",
        "hour": "C'est trop tard pour nous. À quelle autre heure ?",
        "city": "Aucun train ne va à {city}. Dans quelle autre ville souhaitez-vous aller ?",
        "kind": "Il n'y a pas de pizza {kind} aujourd'hui. Quelle autre pizza voulez-vous ?",
    },
}
AGREES = {
    "en": ("Yes, that is right.", "Yes, perfect.", "Yes, please.", "Yes, exactly.", "Yes, thank you."),
    "fr": ("Oui, c'est cela.", "Oui, parfait.", "Oui, merci.", "Oui, exactement.", "Oui, c'est bien ça."),
}
CORRECTS = {
    "en": ("Sorry, I mean {}.", "Actually, {} instead.", "No, wait, {}."),
    "fr": ("Pardon, je veux dire {}.", "En fait, plutôt {}.", "Non, attendez, {}."),
}
CANCELS = {"en": ("Never mind, I cancel.", "I have changed my mind, cancel it."),
           "fr": ("Finalement, j'annule.", "J'ai changé d'avis, annulez tout.")}  # fmt: skip
ELSEWHERE = {
    "en": ("Do you sell bicycles too?", "Can you tell me a joke?", "What will the weather be like?",
           "Can you lend me your pen?", "Do you know a good film?"),
    "fr": ("Vendez-vous aussi des vélos ?", "Pouvez-vous me raconter une blague ?", "Quel temps fera-t-il ?",
           "Pouvez-vous me prêter votre stylo ?", "Connaissez-vous un bon film ?"),
}
REFUSES = {
    "en": {
        "table": "I am sorry, I only book tables.", "train": "I am sorry, I only sell train tickets.",
        "pizza": "I am sorry, I only sell pizzas.", "haircut": "I am sorry, I only make appointments.",
    },
    "fr": {
        "table": "Désolé, je ne réserve que des tables.", "train": "Désolé, je ne vends que des billets de train.",
        "pizza": "Désolé, je ne vends que des pizzas.", "haircut": "Désolé, je ne prends que des rendez-vous.",
    },
}  # fmt: skip
CONFIRMS = {"en": "{}. Is that right?", "fr": "{}. Est-ce bien cela ?"}
DONE = {"en": "Thank you, it is noted. Goodbye!", "fr": "Merci, c'est noté. Au revoir !"}
CANCELLED = {"en": "Very well, I have cancelled everything. Goodbye!", "fr": "Très bien, j'ai tout annulé. Au revoir !"}
QUESTIONS = {
    "en": ("What does the clerk say next?", "What is the clerk's answer?", "What should the clerk answer?"),
    "fr": ("Que dit ensuite l'employé ?", "Quelle est la réponse de l'employé ?", "Que doit répondre l'employé ?"),
}
STATE_QUESTIONS = {
    "en": ("What does the customer want so far?", "What has the customer asked for so far?"),
    "fr": ("Que veut le client jusqu'ici ?", "Qu'a demandé le client jusqu'ici ?"),
}
