"""The sentences of the short stories in French; the slots are those of `story_en`.

{e} agrees with the hero, {fe} with the one who helps; {ils} {tous} {amis} with both; {lui} is the pronoun after a
preposition, {le} {fle} the object before a verb, {it} that of the thing. Elision and contraction follow by rule.
"""

from __future__ import annotations

OPENINGS = {
    "plain": (
        "{H} était {a_kind} qui vivait {home}.", "Dans une petite maison, {home}, vivait {a_kind} appelé{e} {H}.",
        "Tout le monde connaissait {H}, {a_kind} qui habitait {home}.", "{H}, {a_kind}, habitait {home}.",
        "{Home} vivait {a_kind}, et on {le} appelait {H}.",
        "Un peu à l'écart de la route, {home}, vivait {H}, {a_kind}.",
    ),
    "tale": (
        "Il était une fois {a_kind} qui s'appelait {H} et qui vivait {home}.",
        "Il y a bien longtemps, {home}, vivait {a_kind} du nom de {H}.",
        "Autrefois, {a_kind} appelé{e} {H} habitait {home}.",
    ),
}  # fmt: skip
DETAILS = (
    "{H} aimait se lever avant le soleil.", "Le soir, {H} regardait les étoiles et posait mille questions.",
    "{H} possédait peu de choses, mais avait un grand cœur.",
    "Chaque jour, {H} marchait un peu plus loin de la maison.",
    "{H} gardait tous ses trésors dans une vieille boîte.",
)  # fmt: skip
NEIGHBOUR = (
    "À côté vivait {N}, {an_old_neighbour} qui connaissait beaucoup d'histoires.",
    "{N}, {an_old_neighbour}, venait prendre le thé chaque après-midi.",
)  # fmt: skip
ADVICE = {
    "plain": ("{N} {le} prévint que la route serait longue.", "{N} lui souhaita bonne chance à la porte."),
    "speech": ("« Sois prudent{e} sur la route », dit {N}.", "« Reviens avant la première neige », dit {N}."),
}
WANTS = {
    "lost": (
        "{Time}, {H} vit que {thing} avait disparu, et voulut {it} retrouver.",
        "{Time}, {H} ne trouva plus {thing} nulle part.", "{Time}, le vent emporta {thing}, et {H} courut derrière.",
        "{Time}, {H} perdit {thing}, le cadeau d'un ami.",
    ),
    "fetch": (
        "{Time}, il fallut à {H} {thing} pour {purpose}.", "{Time}, {H} voulut rapporter {thing} pour {purpose}.",
        "{Time}, {H} décida de chercher {thing} pour {purpose}.",
    ),
    "reach": (
        "{Time}, {H} décida d'aller voir {thing}.", "Depuis l'enfance, {H} rêvait de voir {thing}.",
        "{Time}, {H} entendit parler de {thing} et voulut y aller.",
    ),
}  # fmt: skip
LEAVES = (
    "{H} prit un peu de pain et partit de bonne heure.", "{H} dit au revoir aux voisins et se mit en route.",
    "Sans perdre une minute, {H} prit la route des collines.", "Le soleil se levait quand {H} partit.",
    "Avec un sac et un bâton, {H} s'en alla.",
)  # fmt: skip
WAYS = (
    "La route était longue, mais les oiseaux chantaient.", "Les nuages passaient au-dessus des champs.",
    "À midi, {H} se reposa sous un arbre et mangea une poire.", "{H} marcha pendant des heures sans s'arrêter.",
    "Un vent frais soufflait sur l'herbe.",
)  # fmt: skip
FEELINGS = {
    "plain": (
        "{H} se sentit fatigué{e} et un peu triste.", "Un instant, {H} eut envie de rentrer.",
        "{H} s'assit et faillit pleurer.", "{H} ne savait plus que faire.",
    ),
    "speech": (
        "« Je ne renoncerai pas », dit {H}.", "« Il doit y avoir un moyen », pensa {H}.",
        "« Que puis-je faire maintenant ? » demanda {H} à voix haute.",
    ),
}  # fmt: skip
HELPERS = (
    "Alors {H} rencontra {a_friend} qui s'appelait {F}.", "{A_friend} du nom de {F} arriva.",
    "À ce moment-là, {a_friend} appelé{fe} {F} passa par là.", "Derrière un rocher se tenait {F}, {a_friend}.",
)  # fmt: skip
BONDS = {
    "friendship": {
        "plain": ("{F} vit que {H} avait des ennuis et s'arrêta.",
                  "{Tous} deux parlèrent un moment et se plurent vite."),
        "speech": ("« Ne t'inquiète pas, je vais t'aider », dit {F}.", "« À deux, on est plus forts », dit {F} à {H}."),
    },
    "sharing": {
        "plain": ("{F} avait faim, alors {H} lui donna la moitié de son pain.",),
        "speech": ("« Tu as l'air d'avoir faim, prends la moitié de mon pain », dit {H} à {F}.",),
    },
    "kindness": {
        "plain": ("{F} avait perdu un sac dans l'herbe, et {H} chercha jusqu'à ce que le sac soit retrouvé.",),
        "speech": ("« Je vais chercher ton sac avec toi », promit {H} à {F}, et bientôt {ils} le trouvèrent.",),
    },
    "honesty": {
        "plain": ("Par erreur, {H} avait mangé une pomme qui appartenait à {F}, et l'avoua aussitôt.",),
        "speech": ("« J'ai mangé une de tes pommes par erreur », avoua {H} à {F}.",),
    },
}  # fmt: skip
REPLIES = {
    "plain": ("{F} sourit et proposa son aide.", "{F} réfléchit un peu et hocha la tête."),
    "speech": ("« Alors, moi aussi, je vais t'aider », répondit {F}.", "« Viens avec moi », répondit {F}."),
    "honesty": ("« Merci de me l'avoir dit », répondit {F}.", "« Tu as eu raison de le dire », répondit {F}."),
    "thanks": ("« Merci, je me sentais si seul{e} », répondit {H}.", "« Je ne l'oublierai jamais », répondit {H}."),
}
GAINS = {
    "lost": (
        "Derrière la colline suivante, {H} retrouva {thing} dans l'herbe.", "Enfin, {H} retrouva {thing}.",
        "Non loin de là, au soleil, {H} retrouva {thing}.",
    ),
    "fetch": ("De l'autre côté, {H} trouva enfin {thing}.",
              "Le soir même, {H} trouva {thing} aux dernières lueurs du jour."),
    "reach": (
        "Enfin, {H} vit {thing}, et c'était plus beau que dans un rêve.",
        "Un peu plus tard, {H} vit {thing} pour la première fois.",
    ),
}  # fmt: skip
THANKS = (
    "{H} remercia {F} de tout son cœur.", "{H} et {F} rirent et promirent de se revoir.",
    "{F} sourit et lui dit au revoir.",
)  # fmt: skip
RETURNS = ("Au retour, la route sembla bien plus courte.", "{H} rentra sous les premières étoiles.")
WELCOMES = (
    "{N} attendait à la fenêtre et voulut tout entendre.", "{N} fit de la soupe et écouta toute l'histoire.",
)
MORALS = {
    "work": (
        "Avec du travail, même une route difficile devient facile.",
        "{H} avait appris que le travail ouvre bien des portes.",
        "Un bon travail n'est jamais fait en vain.",
    ),
    "patience": (
        "La patience montre le chemin.", "{H} avait appris la patience.",
        "Avec de la patience, on finit toujours par arriver.",
    ),
    "courage": (
        "Le courage, ce n'est pas de ne jamais avoir peur, mais d'avancer quand même.", "{H} avait trouvé son courage.",
        "Un peu de courage suffit pour commencer.",
    ),
    "sharing": (
        "Ce que l'on partage nous revient.", "{H} avait appris que le pain est meilleur quand on le partage.",
        "Celui qui partage n'est jamais seul.",
    ),
    "kindness": (
        "La gentillesse ouvre plus de portes que la force.", "Un geste de gentillesse n'est jamais perdu.",
        "{H} avait appris que la gentillesse est une force.",
    ),
    "friendship": (
        "Avec un ami, aucune route n'est trop longue.", "À partir de ce jour, {H} et {F} furent {amis}.",
        "Un ami vaut plus qu'un trésor.",
    ),
    "honesty": (
        "On fait confiance à celui qui dit la vérité.", "Les paroles honnêtes ouvrent les cœurs.",
        "{H} avait appris que la vérité vaut mieux qu'un mensonge.",
    ),
}  # fmt: skip
OBSTACLES = {
    "river": {
        "meet": ("Mais une large rivière coupait le chemin, et il n'y avait pas de pont.",
                 "Bientôt, {H} arriva devant une rivière trop profonde.",
                 "Puis le chemin s'arrêta au bord d'une grande rivière."),
        "fail": ("{H} mit un pied dans l'eau, mais le courant était trop fort.",
                 "Deux fois, {H} essaya de nager, et deux fois l'eau {le} repoussa."),
        "work": ("{H} ramassa des branches tout l'après-midi et construisit un radeau pour traverser la rivière.",),
        "patience": ("{H} s'assit et attendit que la rivière soit basse.",
                     "Pendant deux jours, {H} attendit sur la rive, et la rivière se calma enfin."),
        "helped": ("{F} avait une petite barque, et ensemble {ils} traversèrent la rivière.",
                   "{F} montra à {H} un endroit où la rivière n'était pas profonde."),
    },
    "storm": {
        "meet": ("Tout à coup, un orage éclata, et la pluie tomba comme des pierres.",
                 "Dans l'après-midi, un orage arriva et cacha toute la vallée."),
        "fail": ("{H} essaya de continuer, mais le vent était plus fort.",
                 "{H} se cacha sous un buisson, mais la pluie passait à travers les feuilles."),
        "patience": ("{H} trouva une grotte et y attendit la fin de l'orage.",),
        "courage": ("{H} regarda droit devant et marcha à travers l'orage, pas à pas.",),
        "helped": ("{F} ouvrit la porte d'une cabane, et {ils} attendirent près du feu la fin de l'orage.",
                   "{F} avait un grand parapluie, et {ils} traversèrent l'orage ensemble."),
    },
    "forest": {
        "meet": ("Le chemin entrait dans une forêt si sombre que le jour semblait finir.",
                 "Au milieu de la forêt, la nuit tomba, et {H} ne voyait plus rien."),
        "fail": ("{H} tourna en rond et revint au même arbre.",
                 "{H} courut un peu, trébucha sur une racine et s'arrêta."),
        "courage": ("{H} chanta très fort, pour ne pas avoir peur, et marcha jusqu'au bout de la forêt.",),
        "patience": ("{H} attendit la lune, et elle éclaira toute la forêt.",),
        "helped": ("{F} leva une lanterne et guida {H} hors de la forêt.",
                   "{F} connaissait chaque arbre de la forêt et marcha devant."),
    },
    "cliff": {
        "meet": ("Alors une falaise se dressa devant {lui}, haute comme une tour.",
                 "Au pied d'une falaise, le chemin s'arrêtait."),
        "fail": ("{H} grimpa un peu et glissa jusqu'en bas.",
                 "{H} chercha un autre passage, mais il n'y en avait pas."),
        "work": ("{H} porta des pierres toute la journée et fit un escalier contre la falaise.",),
        "courage": ("{H} respira profondément et escalada la falaise sans regarder en bas.",),
        "helped": ("{F} lança une corde et hissa {H} en haut de la falaise.",
                   "{F} connaissait un escalier caché dans la falaise."),
    },
    "gate": {
        "meet": ("Une haute grille de fer fermait la route, et elle était verrouillée.",
                 "Mais la grille de la ville était fermée."),
        "fail": ("{H} frappa et appela, mais personne ne répondit.",
                 "{H} poussa de toutes ses forces, et rien ne bougea."),
        "patience": ("{H} attendit jusqu'au soir, quand un gardien vint ouvrir la grille.",),
        "work": ("{H} regarda sous chaque pierre et découvrit enfin la clé de la grille.",),
        "helped": ("{F} avait la clé, et la grille s'ouvrit.",
                   "{F} souleva la barre, et ensemble {ils} poussèrent la grille."),
    },
    "fog": {
        "meet": ("Un épais brouillard descendit, et le chemin disparut.",
                 "À midi, le brouillard était si épais que {H} ne voyait plus le sol."),
        "fail": ("{H} tourna à gauche, puis à droite, et se perdit bientôt.",
                 "{H} appela, mais seul l'écho répondit."),
        "patience": ("{H} s'assit sur une pierre et attendit que le brouillard se lève.",),
        "work": ("{H} posa un caillou blanc à chaque pas et traversa ainsi le brouillard.",),
        "helped": ("{F} fit sonner un grelot, et {H} suivit le son à travers le brouillard.",
                   "{F} connaissait le chemin par cœur, même dans le brouillard."),
    },
    "bridge": {
        "meet": ("Le vieux pont était cassé au milieu.", "La moitié des planches du pont manquait."),
        "fail": ("{H} posa une branche en travers, mais elle se brisa.",
                 "{H} voulut sauter, mais le trou était trop large."),
        "work": ("{H} coupa des planches neuves et répara le pont avant la nuit.",),
        "courage": ("{H} s'accrocha à la corde et passa le pont, le cœur battant.",),
        "helped": ("{F} tint les planches pendant que {H} réparait le pont.",
                   "{F} apporta une échelle, et {ils} la posèrent en travers du pont."),
    },
    "goose": {
        "meet": ("Une oie en colère barrait la route et ne laissait passer personne.",
                 "Devant la ferme, une oie énorme ouvrit les ailes et siffla."),
        "fail": ("{H} essaya de passer en courant, mais l'oie était plus rapide.",
                 "{H} cria, et l'oie s'approcha encore."),
        "sharing": ("{H} donna à l'oie un morceau de gâteau, et l'oie s'écarta.",),
        "kindness": ("{H} vit une épine dans la patte de l'oie et la retira doucement.",),
        "helped": ("{F} parla doucement à l'oie, qui retourna à la mare.",
                   "{F} siffla un air, et l'oie se calma."),
    },
}  # fmt: skip
REQUESTS = (
    "Écris une histoire en {n} phrases sur {H}, {a_kind}, qui {wish}. Thème : {theme}. Style : {style}.",
    "Raconte-moi une histoire de {n} phrases sur {H}, {a_kind}, qui {wish}. Thème : {theme}. Style : {style}.",
)
WISHES = {"lost": "cherche {thing}", "fetch": "cherche {thing} pour {purpose}", "reach": "veut voir {thing}"}
STYLES = {"plain": "simple", "speech": "avec des paroles", "tale": "conte"}
THEMES = {
    "work": "travail", "patience": "patience", "courage": "courage", "sharing": "partage", "kindness": "gentillesse",
    "friendship": "amitié", "honesty": "honnêteté",
}  # fmt: skip
