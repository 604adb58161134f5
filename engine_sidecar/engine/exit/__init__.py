"""The one act of leaving the market: what is stopped, withdrawn, closed, and what stays unconfirmed."""
