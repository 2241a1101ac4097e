"""The line to an MQTT broker.

Holds: `line`, the one connection and what it costs to keep it; `interlocks`, topics that say whether updates may begin;
`notices`, a topic on which is told what happens.

Imports: model and ports; aiomqtt, which comes with the extra `mqtt`: only `assembly` imports `line`, and only where a broker is configured.

Never: waiting for a broker where the hub has other work, a message without a bound, or what a topic should be called: that is for those who speak
on it.

Add one: something that talks over the line implements `ports.Listener` beside those who know what to say, and `assembly` has it listen.
"""
