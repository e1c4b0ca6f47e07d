"""Every route of the API as a function that makes a call of its arguments. What is left out the API decides."""
