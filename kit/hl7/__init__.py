"""HL7 v2: MLLP framing, a lean tolerant reader, acknowledgements, and outgoing messages."""
