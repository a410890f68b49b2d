"""The demo of the feedback loop: a scripted creator, a scripted annotator, and the same photos' captions before and after."""
