#!/usr/bin/env bash
# What `make run` shows: the default model at its three skills, in English and in French, then how to go on.
set -euo pipefail

say() {
  if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$1"; else printf '\n%s\n' "$1"; fi
}

ask() {
  say "\$ petit run \"$1\""
  petit run "$1"
}

say "petit's own model, computed by its own 4-bit kernels on this machine."

say "# a question about a short text"
ask "Emma is in the kitchen. Tom takes the book. Tom goes to the garden. Where is the book?"
ask "Emma est dans la cuisine. Tom prend le livre. Tom va dans le jardin. Où est le livre ?"

say "# a sum"
ask "What is 12 + 30?"
ask "Combien font sept plus huit ?"

say "# a command to a robot"
ask "Robot, turn left twice, then go forward three steps."
ask "Robot, d'abord lève le bras, puis avance tout droit de 4 pas."

cat <<'END'

How to go on:

  .venv/bin/petit chat                             a conversation with this model
  .venv/bin/petit info                             what it is, and what it cannot do
  .venv/bin/petit quantize PHI2-FOLDER phi-2-q4    phi-2 itself, or a model like it: pack it into 4 bits once,
  .venv/bin/petit chat --model phi-2-q4            then talk with it

`source .venv/bin/activate` lets you leave out `.venv/bin/`. README.md says the rest; LISEZMOI.md le dit en français.
END
