"""Models in which it is known what is to be found: C1 to C7 made by hand, T1 to T5 trained on the spot.

A tool that finds nothing here is broken; a tool that finds everything here is correct, and may still miss what is in
a model that grew by itself (constructed weights are unrealistically clean: InterpBench, arXiv 2407.14494).
Trained ones need torch and are in `petitlm.look.gradients`.
"""
