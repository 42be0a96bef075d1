"""`idp apply FILE`: an installation as a file says it should be.

In the order of a run: `document` and `fields` read YAML into located values (`wanted`, by the `parse_*` modules);
`present` reads what there is, in bulk; `plan` is the difference as frozen steps, by name; `reach` says who gains or
loses which role where; `carrying_out` hands the steps to the rules of the rooms, in one transaction.
"""
