"""Verbs of the command line that neither watch nor keep: for who installs, trains and maintains."""
