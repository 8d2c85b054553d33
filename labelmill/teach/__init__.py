"""Teaching with few judgements: candidate functions, a small classifier, what to judge next.

Plain functions over arrays; nothing here reads a job, runs a pipeline or prints. Training needs the
extra `teach`; what workers do needs only numpy and scipy.
"""
