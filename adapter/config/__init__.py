"""The configuration: one YAML file, decoded with every problem at once, translated to what the product works with.

May read files and YAML (nothing else imports yaml); never the network, and it decides nothing.

Way of a file: `yaml_text` (text -> plain data) -> `decode` (data -> `schema` dataclasses, through `kinds`) ->
`translate` (schema -> `optimizer.domain.Settings`); `load` reads and watches the file; `json_schema` and `reference`
describe it.
"""
