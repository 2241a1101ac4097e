"""The hub as Home Assistant sees it, by MQTT discovery.

Holds: `discovery`, what is said of a device, as pure documents; `mirror`, who says it; `farewell`, who takes it back
where Home Assistant is to be shown nothing more, both by what the broker has `kept`; `orders`, what becomes of what is pressed there;
`targets`, which versions were chosen there.

Imports: the engine's desk and views, config's scopes, and broker and store as ports.

Never: a name of a device in a topic or an id, a message that the broker keeps as an order, more than the API would do for whoever has the scopes.

Add one: an entity is an entry of `discovery.components` with its key in `discovery.states`, and its line in the checker of the tests.
"""
