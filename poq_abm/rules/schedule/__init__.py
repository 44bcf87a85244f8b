"""Who answers what, and who sits in the committee."""
