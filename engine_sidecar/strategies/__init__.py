"""Our own strategies; and building strategies from plain configs, whose mistakes never take the engine down without a word."""
