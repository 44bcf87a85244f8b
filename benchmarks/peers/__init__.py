"""The published mechanism as a competent user would write it in the tools there are."""
