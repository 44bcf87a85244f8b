"""The rules of the game: small pure functions, compiled, one family per module.

The agents call them round by round and the compiled loop calls the same functions in bulk, so there
is one definition of every rule.
"""
