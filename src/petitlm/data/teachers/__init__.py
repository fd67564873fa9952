"""Teachers: whoever writes text for training, behind one protocol, each call on record."""
