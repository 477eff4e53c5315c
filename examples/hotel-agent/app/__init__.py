"""hotel-agent: a conversational front desk for a hotel.

A guest writes a message, the agent understands the intent, takes a short lock on
the room, talks to the property management system (PMS) and answers.
"""

__version__ = "1.0.0"
