"""The command line, a module for each command: its words (`add_arguments`) and what it does (`run`).

Importing torch takes a second or more. So each command reads its words first, to answer a wrong one at once,
and then imports the rooms that need torch.
"""
