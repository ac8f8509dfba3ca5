"""Other engines as oracles: where they differ from us, who is right, and what each of them covers."""
