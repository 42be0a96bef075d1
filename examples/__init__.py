"""What stands around a provider: an application that people sign in to, and the API that it calls."""
