"""The sentences of the short stories in English.

{H} the hero, {h} {him} {his} pronouns of the hero; {F} the one who helps, with {f} {fhim} {fhis}; {N} the neighbour;
{thing} what is looked for, {purpose} what for. `plain` sentences tell, `speech` sentences have somebody speak.
"""

from __future__ import annotations

OPENINGS = {
    "plain": (
        "{H} was {a_kind} who lived {home}.", "In a small house {home} lived {a_kind} called {H}.",
        "Everyone knew {H}, {a_kind} who lived {home}.", "{H}, {a_kind}, lived {home}.",
        "{Home} lived {a_kind}, and everybody called {him} {H}.",
        "A little way from the road, {home}, lived {H}, {a_kind}.",
    ),
    "tale": (
        "Once upon a time there was {a_kind} called {H}, who lived {home}.",
        "Long ago, {home}, there lived {a_kind} named {H}.",
        "Once, many years ago, {a_kind} called {H} lived {home}.",
    ),
}  # fmt: skip
DETAILS = (
    "{H} liked to get up before the sun.", "In the evening, {H} watched the stars and asked many questions.",
    "{H} had few things, but a big heart.", "Every day, {H} walked a little further from the house.",
    "{H} kept all {his} treasures in an old tin.",
)  # fmt: skip
NEIGHBOUR = (
    "Next door lived {N}, an old neighbour who knew many stories.",
    "{N}, an old neighbour, came for tea every afternoon.",
)  # fmt: skip
ADVICE = {
    "plain": ("{N} warned {him} that the road would be long.", "{N} wished {him} luck at the door."),
    "speech": ("“Be careful on the road,” said {N}.", "“Come back before the first snow,” said {N}."),
}
WANTS = {
    "lost": (
        "{Time}, {H} saw that {thing} was gone, and {h} wanted to find it.",
        "{Time}, {H} could not find {thing} anywhere.", "{Time}, the wind carried {thing} away, and {H} ran after it.",
        "{Time}, {H} lost {thing}, the present of a friend.",
    ),
    "fetch": (
        "{Time}, {H} needed {thing} for {purpose}.", "{Time}, {H} wanted to bring back {thing} for {purpose}.",
        "{Time}, {H} decided to look for {thing} for {purpose}.",
    ),
    "reach": (
        "{Time}, {H} decided to go and see {thing}.", "Since early childhood, {H} had dreamed of seeing {thing}.",
        "{Time}, {H} heard of {thing} and wanted to go there.",
    ),
}  # fmt: skip
LEAVES = (
    "{H} took a little bread and set out early.", "{H} said goodbye to the neighbours and started walking.",
    "Without losing a minute, {H} took the road to the hills.", "The sun was rising when {H} left.",
    "With a bag and a stick, {H} went on {his} way.",
)  # fmt: skip
WAYS = (
    "The road was long, but the birds were singing.", "Clouds came and went above the fields.",
    "At noon, {H} rested under a tree and ate a pear.", "{H} walked for hours without stopping.",
    "A cool wind blew over the grass.",
)  # fmt: skip
FEELINGS = {
    "plain": (
        "{H} felt tired and a little sad.", "For a moment, {H} wanted to go home.", "{H} sat down and almost cried.",
        "{H} did not know what to do.",
    ),
    "speech": (
        "“I will not give up,” said {H}.", "“There must be a way,” thought {H}.",
        "“What can I do now?” asked {H} aloud.",
    ),
}  # fmt: skip
HELPERS = (
    "Then {H} met {a_friend} called {F}.", "{A_friend} named {F} came along.",
    "Just then, {a_friend} called {F} passed by.", "Behind a rock stood {F}, {a_friend}.",
)  # fmt: skip
BONDS = {
    "friendship": {
        "plain": ("{F} saw that {H} was in trouble and stopped.",
                  "The two talked for a while and soon liked each other."),
        "speech": ("“Do not worry, I will help you,” said {F}.", "“Two are stronger than one,” said {F} to {H}."),
    },
    "sharing": {
        "plain": ("{F} was hungry, so {H} gave {fhim} half of a loaf.",),
        "speech": ("“You look hungry, take half of my bread,” said {H} to {F}.",),
    },
    "kindness": {
        "plain": ("{F} had lost a bag in the grass, and {H} looked for it until it was found.",),
        "speech": ("“I will look for your bag with you,” {H} promised {F}, and soon they found it.",),
    },
    "honesty": {
        "plain": ("By mistake, {H} had eaten an apple that belonged to {F}, and {h} admitted it at once.",),
        "speech": ("“I ate one of your apples by mistake,” {H} told {F}.",),
    },
}  # fmt: skip
REPLIES = {
    "plain": ("{F} smiled and offered to help.", "{F} thought about it and nodded."),
    "speech": ("“Then I will help you too,” answered {F}.", "“Come with me,” answered {F}."),
    "honesty": ("“Thank you for telling me,” answered {F}.", "“You are brave to say it,” answered {F}."),
    "thanks": ("“Thank you, I felt so lost,” answered {H}.", "“I will never forget it,” answered {H}."),
}
GAINS = {
    "lost": (
        "Behind the next hill, {H} found {thing} in the grass.", "At last, {H} found {thing} again.",
        "Not far from there, {thing} lay in the sun, and {H} found it.",
    ),
    "fetch": ("On the other side, {H} found {thing} at last.", "That evening, {H} found {thing} in the last light."),
    "reach": (
        "At last, {H} saw {thing}, even more beautiful than in a dream.",
        "A little later, {H} saw {thing} for the first time.",
    ),
}  # fmt: skip
THANKS = (
    "{H} thanked {F} with all {his} heart.", "{H} and {F} laughed and promised to meet again.",
    "{F} smiled and waved goodbye.",
)  # fmt: skip
RETURNS = ("On the way back, the road seemed much shorter.", "{H} came home under the first stars.")
WELCOMES = (
    "{N} was waiting at the window and wanted to hear everything.", "{N} made soup and listened to the whole story.",
)
MORALS = {
    "work": (
        "With work, even a hard road becomes easy.", "{H} had learned that work opens many doors.",
        "Good work is never done in vain.",
    ),
    "patience": ("Patience shows the way.", "{H} had learned to be patient.", "Whoever is patient arrives in the end."),
    "courage": (
        "Courage does not mean having no fear, but going on.", "{H} had found {his} courage.",
        "A little courage is enough to begin.",
    ),
    "sharing": (
        "What we share comes back to us.", "{H} had learned that bread tastes better when it is shared.",
        "Whoever shares is never alone.",
    ),
    "kindness": (
        "Kindness opens more doors than strength.", "A kind act is never lost.",
        "{H} had learned that kindness is a strength.",
    ),
    "friendship": (
        "With a friend, no road is too long.", "From that day on, {H} and {F} were friends.",
        "A friend is worth more than a treasure.",
    ),
    "honesty": (
        "Whoever tells the truth is trusted.", "Honest words open hearts.",
        "{H} had learned that the truth is worth more than a lie.",
    ),
}  # fmt: skip
# Of each obstacle: how it comes, what fails, what {H} does alone (by theme), what {F} does.
OBSTACLES = {
    "river": {
        "meet": ("But a wide river cut the path, and there was no bridge.",
                 "Soon {H} came to a river that was too deep to cross.", "Then the path ended at a great river."),
        "fail": ("{H} put one foot in the water, but the current was too strong.",
                 "Twice {H} tried to swim, and twice the water pushed {him} back."),
        "work": ("{H} gathered branches all afternoon and built a raft to cross the river.",),
        "patience": ("{H} sat down and waited until the river was low.",
                     "For two days {H} waited on the bank, and at last the river was calm."),
        "helped": ("{F} had a small boat, and together they crossed the river.",
                   "{F} showed {H} a place where the river was not deep."),
    },
    "storm": {
        "meet": ("All at once a storm broke, and the rain fell like stones.",
                 "In the afternoon a storm came up and hid the whole valley."),
        "fail": ("{H} tried to go on, but the wind was stronger.",
                 "{H} hid under a bush, but the rain came through the leaves."),
        "patience": ("{H} found a cave and waited there until the storm was over.",),
        "courage": ("{H} looked straight ahead and walked through the storm, step by step.",),
        "helped": ("{F} opened the door of a hut, and they waited by the fire until the storm was over.",
                   "{F} had a big umbrella, and they walked through the storm together."),
    },
    "forest": {
        "meet": ("The path led into a forest so dark that the day seemed to end.",
                 "In the middle of the forest, night fell, and {H} could see nothing."),
        "fail": ("{H} walked in a circle and came back to the same tree.",
                 "{H} ran a little, fell over a root and stopped."),
        "courage": ("{H} sang loudly, so as not to be afraid, and walked on to the end of the forest.",),
        "patience": ("{H} waited for the moon, and it lit the whole forest.",),
        "helped": ("{F} lifted a lantern and led {H} out of the forest.",
                   "{F} knew every tree of the forest and walked ahead."),
    },
    "cliff": {
        "meet": ("Then a cliff rose in front of {him}, as high as a tower.",
                 "At the foot of a cliff, the path stopped."),
        "fail": ("{H} climbed a little and slid down again.", "{H} looked for a way round, but there was none."),
        "work": ("{H} carried stones all day and made steps up the cliff.",),
        "courage": ("{H} took a deep breath and climbed the cliff without looking down.",),
        "helped": ("{F} threw down a rope and pulled {H} up the cliff.", "{F} knew a hidden stair in the cliff."),
    },
    "gate": {
        "meet": ("A tall iron gate closed the road, and it was locked.", "But the gate of the town was shut."),
        "fail": ("{H} knocked and called, but nobody answered.",
                 "{H} pushed with all {his} strength, and nothing moved."),
        "patience": ("{H} waited until evening, when a guard came to open the gate.",),
        "work": ("{H} looked under every stone and at last discovered the key of the gate.",),
        "helped": ("{F} had the key, and the gate opened.",
                   "{F} lifted the bar, and together they pushed the gate open."),
    },
    "fog": {
        "meet": ("A thick fog came down, and the path disappeared.",
                 "By noon the fog was so thick that {H} could not see the ground."),
        "fail": ("{H} turned left, then right, and was soon lost.", "{H} called, but only the echo answered."),
        "patience": ("{H} sat on a stone and waited until the fog lifted.",),
        "work": ("{H} laid a white pebble at each step and so crossed the fog.",),
        "helped": ("{F} rang a little bell, and {H} followed the sound through the fog.",
                   "{F} knew the way by heart, even in the fog."),
    },
    "bridge": {
        "meet": ("The old bridge was broken in the middle.", "Half of the planks of the bridge were missing."),
        "fail": ("{H} put a branch across, but it snapped.", "{H} wanted to jump, but the gap was too wide."),
        "work": ("{H} cut new planks and mended the bridge before night.",),
        "courage": ("{H} held on to the rope and crossed the bridge with a beating heart.",),
        "helped": ("{F} held the planks while {H} mended the bridge.",
                   "{F} brought a ladder, and they laid it across the bridge."),
    },
    "goose": {
        "meet": ("An angry goose stood in the way and let nobody pass.",
                 "In front of the farm, a huge goose opened its wings and hissed."),
        "fail": ("{H} tried to run past, but the goose was faster.",
                 "{H} shouted, and the goose came even closer."),
        "sharing": ("{H} gave the goose a piece of cake, and the goose stepped aside.",),
        "kindness": ("{H} saw a thorn in the foot of the goose and gently pulled it out.",),
        "helped": ("{F} spoke softly to the goose, and the goose went back to the pond.",
                   "{F} whistled a tune, and the goose calmed down."),
    },
}  # fmt: skip
REQUESTS = (
    "Write a story in {n} sentences about {H}, {a_kind}, who {wish}. Theme: {theme}. Style: {style}.",
    "Tell me a story of {n} sentences about {H}, {a_kind}, who {wish}. Theme: {theme}. Style: {style}.",
)
WISHES = {"lost": "looks for {thing}", "fetch": "needs {thing} for {purpose}", "reach": "wants to see {thing}"}
STYLES = {"plain": "plain", "speech": "with speech", "tale": "fairy tale"}
THEMES = {name: name for name in MORALS}
