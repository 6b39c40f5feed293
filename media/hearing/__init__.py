"""What the participant says: speech activity, end of turn, recognition.

Everything here is synchronous. Feeding audio and asking for state cost microseconds and belong to the
session's own thread; what runs a model says what it costs and belongs in an executor.
"""
