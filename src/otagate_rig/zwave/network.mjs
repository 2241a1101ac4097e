// A simulated Z-Wave network behind a TCP port that a driver opens as its serial port: a stock mock controller, and nodes of ours.
//
// usage: node network.mjs SCENARIO.json. Lines of JSON go in and out as in `python -m otagate_rig`: `{"ready": true, "path": …}` first, then each
// command is answered with `ok` and its `id`. It ends when its input closes.

import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import * as cc from "@zwave-js/cc";
import { CommandClass } from "@zwave-js/cc";
import { Faucet, FunctionType, ZWaveSerialFrameType } from "@zwave-js/serial";
import { createAndOpenMockedZWaveSerialPort } from "@zwave-js/serial/mock";
import { MockController, MockNode } from "@zwave-js/testing";
import { createDefaultMockControllerBehaviors, createDefaultMockNodeBehaviors } from "zwave-js/Testing";
import { SimulatedNode, capabilities, describeSpec } from "./node.mjs";

// The driver's library knows this command class only as its sender does. What reaches our nodes stays bytes; the driver is another process.
for (const name of ["MetaDataGet", "RequestGet", "Report", "ActivationSet", "PrepareGet"]) {
    cc[`FirmwareUpdateMetaDataCC${name}`].from = (raw, context) =>
        new CommandClass({ nodeId: context.sourceNodeId, ccId: raw.ccId, ccCommand: raw.ccCommand, payload: raw.payload });
}

// A driver that dies leaves promises behind that wait for its acknowledgements; the network outlives it, as a real one does.
process.on("unhandledRejection", (error) => process.stderr.write(`${error?.stack ?? error}\n`));

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// A controller of the 700 series tells its region (Serial API Setup, in bytes); one of the 500 series does not know the question.
const SOF = 0x01, RESPONSE = 0x01, SERIAL_API_SETUP = 0x0b, SUPPORTED_COMMANDS = 0x01, RF_REGION = 0x20;

const regional = (region) => ({
    onHostData(controller, data) {
        if (data[0] !== SOF || data[3] !== SERIAL_API_SETUP) return false;
        const told = { [SUPPORTED_COMMANDS]: SUPPORTED_COMMANDS | RF_REGION, [RF_REGION]: region }[data[4]];
        if (told == undefined) return false;
        controller.ackHostMessage(); // its acknowledgement comes through here too, so nothing waits for it
        void controller.sendToHost(frame([RESPONSE, SERIAL_API_SETUP, data[4], told]));
        return true;
    },
});

function frame(content) {
    const body = [content.length + 1, ...content];
    return Uint8Array.from([SOF, ...body, body.reduce((sum, byte) => sum ^ byte, 0xff)]);
}

// A node that does not answer any more can be taken out of the network (Remove Failed Node ID, in bytes); the mock knows nothing of it.
const REQUEST = 0x00, REMOVE_FAILED_NODE = 0x61, REMOVED = 0x01;

const forgetful = {
    onHostData(controller, data) {
        if (data[0] !== SOF || data[3] !== REMOVE_FAILED_NODE) return false;
        const [nodeId, callbackId] = data.subarray(4);
        controller.ackHostMessage();
        controller.removeNode({ id: nodeId });
        void controller.sendToHost(frame([RESPONSE, REMOVE_FAILED_NODE, 0]));
        void controller.sendToHost(frame([REQUEST, REMOVE_FAILED_NODE, callbackId, REMOVED]));
        return true;
    },
};

// The mock controller gives a driver one second to acknowledge a frame. On a busy machine that takes longer, and the mock, in the middle of what it was
// doing then, would do nothing any more for ever. Where no driver is there, nobody waits for one.
const HOST_PATIENCE_MS = 60_000;
let attended = false;

function bePatient(controller) {
    const expectHostACK = controller.expectHostACK.bind(controller);
    controller.expectHostACK = () => (attended ? expectHostACK(HOST_PATIENCE_MS) : Promise.resolve());
}

function letGo(controller) {
    attended = false;
    for (const expected of controller.expectedHostACKs.splice(0)) expected.resolve();
}

// TCP cuts the line where it likes; the mock controller takes one frame at a time.
function* frames(line) {
    while (line.bytes.length) {
        const length = line.bytes[0] === SOF ? 2 + (line.bytes[1] ?? Infinity) : 1;
        if (line.bytes.length < length) return;
        yield line.bytes.subarray(0, length);
        line.bytes = line.bytes.subarray(length);
    }
}

async function build(scenario) {
    const { serial, port: mockPort } = await createAndOpenMockedZWaveSerialPort();
    const controller = await MockController.create({ homeId: scenario.homeId ?? 0xe1b2c3d4, ownNodeId: 1, mockPort, serial });
    controller.capabilities.supportedFunctionTypes.push(FunctionType.RemoveFailedNode);
    bePatient(controller);
    controller.defineBehavior(...createDefaultMockControllerBehaviors(), forgetful);
    if (scenario.region != undefined) {
        controller.capabilities.supportedFunctionTypes.push(FunctionType.SerialAPISetup);
        controller.defineBehavior(regional(scenario.region));
    }
    const nodes = new Map();
    for (const given of scenario.nodes ?? []) {
        const spec = describeSpec(given);
        const mock = await MockNode.create({ id: spec.id, controller, capabilities: capabilities(spec) });
        mock.defineBehavior(...createDefaultMockNodeBehaviors());
        controller.addNode(mock);
        nodes.set(spec.id, new SimulatedNode(spec, mock, scenario.txDelay ?? 0));
    }
    // Records of every frame would grow for ever; nobody reads them here.
    setInterval(() => {
        controller.clearReceivedHostMessages();
        for (const node of nodes.values()) {
            node.mock.clearReceivedControllerFrames();
            node.mock.clearSentControllerFrames();
        }
    }, 1000).unref();
    return { serial, controller, nodes };
}

function listen(serial, controller) {
    const faucet = new Faucet(serial.readable);
    const server = createServer((socket) => {
        socket.setNoDelay(true);
        letGo(controller);
        attended = true;
        controller.state.clear(); // whatever it was doing for the driver before
        const writable = new WritableStream({
            write(chunk) {
                if (chunk.type === ZWaveSerialFrameType.SerialAPI && !socket.destroyed) {
                    socket.write(typeof chunk.data === "number" ? Uint8Array.from([chunk.data]) : chunk.data);
                }
            },
        });
        faucet.connect(writable);
        socket.on("error", () => socket.destroy());
        socket.on("close", () => {
            faucet.disconnect();
            letGo(controller);
            writable.close().catch(() => undefined);
        });
        const line = { bytes: Buffer.alloc(0) };
        socket.on("data", (chunk) => {
            line.bytes = Buffer.concat([line.bytes, chunk]);
            for (const frame of frames(line)) serial.writeAsync(frame).catch(() => undefined);
        });
    });
    server.maxConnections = 1;
    return new Promise((resolve, reject) => {
        server.on("error", reject);
        server.listen({ host: "127.0.0.1", port: 0 }, () => resolve(server.address().port));
    });
}

const COMMANDS = {
    describe: ({ nodes }) => ({ nodes: Object.fromEntries([...nodes].map(([id, node]) => [id, node.describe()])) }),
    // Fields of a node's spec, and of its faults, from now on.
    change: (_, node, { spec = {}, faults = {} }) => {
        Object.assign(node.spec, spec);
        for (const [name, value] of Object.entries(faults)) {
            if (value === null) delete node.spec.faults[name];
            else node.spec.faults[name] = value;
        }
        node.listen();
        return {};
    },
    wake: async (_, node) => (await node.wake(), {}),
    sleep: (_, node) => (node.sleep(), {}),
    // Answers when a driver has asked the node for its firmware, as it does near the end of its interview; one that sleeps wakes up for that.
    interviewed: async (_, node) => {
        const waking = setInterval(() => void node.wake(), 300).unref();
        await node.firmware.questioned;
        clearInterval(waking);
        return {};
    },
    // Answers when the node has received so many bytes of the image that is on its way.
    reached: async (_, node, { bytes }) => (await node.firmware.reached(bytes), {}),
};

async function obey(network, line) {
    let id;
    try {
        const order = JSON.parse(line);
        id = order.id;
        const command = COMMANDS[order.command];
        if (!command) throw new Error(`there is no command ${order.command}`);
        const node = network.nodes.get(order.node);
        if (!node && order.command !== "describe") throw new Error(`there is no node ${order.node}`);
        say({ id, ok: true, ...(await command(network, node, order)) });
    } catch (error) {
        say({ id, ok: false, error: String(error.message ?? error) });
    }
}

const network = await build(JSON.parse(readFileSync(process.argv[2], "utf8")));
const port = await listen(network.serial, network.controller);
const input = createInterface({ input: process.stdin });
input.on("line", (line) => void obey(network, line));
input.on("close", () => process.exit(0));
say({ ready: true, path: `tcp://127.0.0.1:${port}` });
