"use strict";
// zigbee-herdsman steered over standard input and output, one JSON object a line: what zigbee2mqtt would do with it, without MQTT.
// The first argument is the folder that holds node_modules. Commands carry `do`, and are answered by one object; `interviewed` comes by itself.

const path = require("node:path");
const readline = require("node:readline");
const {createRequire} = require("node:module");

const {Controller, setLogger} = createRequire(path.join(path.resolve(process.argv[2]), "x.js"))("zigbee-herdsman");

const text = (message) => (typeof message === "function" ? message() : message);
const loud = (level) => (message, namespace) => process.stderr.write(`${level} ${namespace} ${text(message)}\n`);
setLogger({debug: () => {}, info: () => {}, warning: loud("warning"), error: loud("error")});

const tell = (document) => process.stdout.write(`${JSON.stringify(document)}\n`);
let controller;

const commands = {
    async start({options}) {
        controller = new Controller({...options, acceptJoiningDeviceHandler: async () => true});
        controller.on("deviceInterview", ({status, device}) => {
            if (status !== "started") tell({interviewed: device.ieeeAddr, status});
        });
        return {started: await controller.start()};
    },
    async permit({seconds}) {
        await controller.permitJoin(seconds);
        return {permitted: seconds};
    },
    async group({number, ieee, endpoint}) {
        const group = controller.getGroupByID(number) ?? controller.createGroup(number);
        await controller.getDeviceByIeeeAddr(ieee).getEndpoint(endpoint).addToGroup(group);
        return {grouped: number};
    },
    async read({ieee, endpoint}) {
        return {read: await controller.getDeviceByIeeeAddr(ieee).getEndpoint(endpoint).read("genBasic", ["modelId", "swBuildId"])};
    },
    async stop() {
        await controller.stop();
        return {stopped: true};
    },
};

(async () => {
    for await (const line of readline.createInterface({input: process.stdin})) {
        const command = JSON.parse(line);
        try {
            tell(await commands[command.do](command));
        } catch (error) {
            tell({error: `${command.do}: ${error.message}`});
        }
    }
    process.exit(0);
})();
