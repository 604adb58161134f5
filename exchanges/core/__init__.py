"""What every venue has alike: a book with price-time priority, a seeded price path, and what can go wrong."""
