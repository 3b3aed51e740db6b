"""Work in the background of the app: runs and tuning that go on while people look at pages, and after a kill."""
