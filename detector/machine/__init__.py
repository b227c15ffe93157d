"""What a program needs of the machine it runs on: memory, files, whoever started it."""
