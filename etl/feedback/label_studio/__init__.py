"""Label Studio integration: annotators correct captions there; this package manages its project, tasks and
annotations.

Label Studio itself is the source of truth: no separate list of tasks is kept that could disagree with it.
"""
