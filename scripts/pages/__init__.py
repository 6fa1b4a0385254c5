"""What `scripts/documents.py` does to Markdown pages, a subject a file.

markdown  a page's blocks of code, comments, headings and links
shell     blocks run: those of sh in one bash, those of Python in one interpreter
output    the output that a page shows against the real one
options   verbs and options against the program's --help
links     links against files and headings
figures   tables that are rendered from docs/figures.json
"""
