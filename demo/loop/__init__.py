"""Demo of the feedback loop: a scripted creator, a scripted annotator, and captions before and after."""
