"""Decides what runs: keeps the record of intent, chooses hosts, follows sessions to their end. Acts through supervisors only."""
