"""Parts of gates: the contract, classes to derive methods from, records, views.

No file of this folder is a method. What others need is exported by `dynsparse.gates`.
"""
