pytest_plugins = [
    "tests.neighbours.antivirus",
    "tests.neighbours.certificates",
    "tests.neighbours.mail",
    "tests.neighbours.pacs",
]
