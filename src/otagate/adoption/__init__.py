"""Taking over a network that another program formed: what zigbee2mqtt or ZHA knows of it becomes what we know, and no device is asked or paired.

Holds: `zigbee2mqtt` (its database of devices and groups), `zigbee2mqtt_settings` (the names in its YAML), `coordinator_backup` (which network it is),
`home_assistant` (names and rooms of ZHA's devices), `values` (what is read from JSON and YAML, judged), all of them pure; `words` (what people call a
device, merged into what we have), `files` (bounded reads and private copies), `programs` (a folder or file to a network), `adopt` (a network into our
database and store, all of it or nothing), `refresh` (the same anew, while the hub has the stick of the other program) and `report` (what was done,
for people and machines).

Imports: radios for zigpy's database, engine for the registry, config, ports, model; PyYAML.

Never: a byte written to a file of the other program, a word to the coordinator, a network key in a report or an error, half a network.

Add one: another program is a reader in a module of its name that makes a `KnownNetwork`, and a line in `programs.READERS`.
"""
