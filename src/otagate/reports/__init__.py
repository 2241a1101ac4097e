"""The report of a month, for whoever owns the house: what it holds, its two forms on paper, and the seal under it.

Holds: the `report` as values, its `forms` (`html`, and CSV: a `sheet` of `cells`), the seal (Ed25519 over length and SHA-256 of every byte before it)
and the file of its key.

Imports: `files`, `model`; cryptography in `seal` and `key` only.

Never: the store, policy, the network; a script, a font or a picture from elsewhere in the HTML.

Add one: a form is a function from a report to text, a line in `forms.FORMS` that says how its last line carries the seal, and a row of its test.
"""
