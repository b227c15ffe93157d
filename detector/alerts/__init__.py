"""Stage 5, who is told: incidents come in; envelopes on their way to the hub leave."""
