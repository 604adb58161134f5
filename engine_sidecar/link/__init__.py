"""What the sidecar and the processes of NautilusTrader say to each other."""
