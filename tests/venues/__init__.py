"""The long counts on exchanges of our own: kill points, stops, faults, a soak. What each found is judged by the exchange's ledger."""
