"""Files of orders, payments and goods, as people and programs write them, read into what the API takes."""
