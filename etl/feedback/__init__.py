"""Feedback: from what creators said of captions to a dataset version that training mixes with the corpus.

In steps, each of which can be killed and done again: `collect` finds new feedback, `sample` chooses what annotators see, Label Studio asks
them (`etl.feedback.label_studio`), `validate` says which of their words count, `build` makes a dataset version of these.
"""
