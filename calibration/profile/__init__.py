"""From what was measured, or what somebody has, to a profile."""
