"""Label Studio, where annotators correct captions: its project, its tasks, and what comes back.

Label Studio itself tells what is there: no list of tasks is kept beside it, so none can disagree with it.
"""
