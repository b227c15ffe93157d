"""Where people look: alerts are stored, shown as they come, judged, and kept with their clips."""
