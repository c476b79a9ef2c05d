"""From CSV files to orders, payments and goods receipts that an API has taken: reading, sending and reporting."""
