"""Feedback loop: from creators' feedback on captions to a dataset version that training mixes with the corpus.

Each step can be killed and repeated: `collect` finds new feedback, `sample` chooses what annotators see, Label
Studio presents it to them (`etl.feedback.label_studio`), `validate` decides which annotations count, and
`build` makes a dataset version of them.
"""
