"""The console: one web application to look, decide and search with. No logic of its own.

app.py        builds the application: guard, API, pages, files
server.py     serves it from a thread, beside the service or alone
problems.py   what is refused or fails: JSON for programs, a page for people
context.py    what pages and API ask: the settings as the file is now, storage
thumbnails.py small pictures of large ones
examples.py   images that people send to search by
access/       who may ask for what: origins, sessions, roles, the log of what people did
api/          the REST API, one file per group; pages and other programs use the same
pages/        the pages, one file per group, with the names of api/
templates/    what the pages look like
static/       one style sheet, scripts; nothing is loaded from elsewhere
"""
