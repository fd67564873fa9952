"""Models in which it is known what is to be found: C1 to C7 made by hand, T1 to T5 trained on the spot.

A tool that finds nothing here is broken; a tool that finds everything here is correct, and may still miss what is in
a model that grew by itself (constructed weights are unrealistically clean: InterpBench, arXiv 2407.14494).

By hand: `induction` (C1, C2), `cancellation` (C3), `backup` (C4), `modular` (C5), `dictionary` (C6), and `programs`
(C7), which `compiler` makes from the operations of `rasp`. Each gives a `made.Blueprint`, whose `load(bits, layers)`
is a model. Trained ones need torch and are in `petitlm.look.gradients.zoo`. What is asked of them all is in `by_hand`,
`compiled` and `petitlm.look.gradients.zoo.questions`, for `petitlm.look.selftest`.
"""
