"""What everything plugs into: operations, histories, verdicts, protocols; and the engine.

This room imports no other room.
"""
