"""Chat models behind the predictor's port: any server that speaks OpenAI's chat completions.

parameters  what a chat model is asked with: server, name of its key, dialect, limits
request     a tile and its examples -> the body of a request, as far as the server understands it
completion  the body of a reply -> the outcome of a tile, with what was used
"""
