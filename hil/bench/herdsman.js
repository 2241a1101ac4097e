"use strict";
// The peer of Node.js: zigbee-herdsman as it is released, and `updateOta` of every device at once, without zigbee2mqtt's pause between blocks.
// Arguments: the folder that holds node_modules, how much goes into a block at most, then those of every host.
// It forms a network of its own: told {"open": true}, the benchmark has the devices join.

const path = require("node:path");
const readline = require("node:readline");
const {createRequire} = require("node:module");

const [program, size, stack, port, image, devices, state] = process.argv.slice(2);
const {Controller, setLogger} = createRequire(path.join(path.resolve(program), "x.js"))("zigbee-herdsman");

const text = (message) => (typeof message === "function" ? message() : message);
const loud = (level) => (message, namespace) => process.stderr.write(`${level} ${namespace} ${text(message)}\n`);
setLogger({debug: () => {}, info: () => {}, warning: loud("warning"), error: loud("error")});

const tell = (document) => process.stdout.write(`${JSON.stringify(document)}\n`);
const settings = {requestTimeout: 150000, responseDelay: 0, baseSize: Number(size)};

const update = (device) =>
    device
        .updateOta({url: image}, undefined, undefined, {}, () => {}, {...settings})
        .catch((error) => process.stderr.write(`${device.ieeeAddr}: ${error.message}\n`));

(async () => {
    const controller = new Controller({
        network: {panID: 0x1a62, extendedPanID: [1, 2, 3, 4, 5, 6, 7, 8], channelList: [15], networkKey: [...Array(16).keys()].map((each) => each + 3)},
        transport: {path: port, adapter: stack === "znp" ? "zstack" : "ember", baudRate: 115200, rtscts: false},
        databasePath: path.join(state, "database.db"),
        databaseBackupPath: path.join(state, "database.db.backup"),
        backupPath: path.join(state, "backup.json"),
        adapter: {disableLED: false},
        acceptJoiningDeviceHandler: async () => true,
    });
    const known = new Set();
    controller.on("deviceInterview", ({status, device}) => {
        if (status === "successful") known.add(device);
        if (status === "successful" && known.size === Number(devices)) tell({ready: true});
    });
    await controller.start();
    await controller.permitJoin(250);
    tell({open: true});
    for await (const _ of readline.createInterface({input: process.stdin})) for (const device of known) update(device);
    process.exit(0);
})();
