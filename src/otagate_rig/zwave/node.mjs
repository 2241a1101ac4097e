// One simulated node: versions, battery, sleep and firmware, each on bytes. Everything else is answered by the stock behaviours of zwave-js.

import { CommandClass } from "@zwave-js/cc";
import { createMockZWaveRequestFrame } from "@zwave-js/testing";
import { FirmwareReceiver } from "./receiver.mjs";

const ASSOCIATION = 0x85, CONFIGURATION = 0x70, BATTERY = 0x80, VERSION = 0x86, WAKE_UP = 0x84, FIRMWARE_UPDATE = 0x7a;

const DEFAULTS = {
    manufacturerId: 0x027a, productType: 0x0003, productId: 0x0082, firmware: ["1.6"], ccVersion: 5, hardwareVersion: 1, maxFragment: 40,
    reportsPerGet: 5, listening: "always", batteryMinimum: 20, restartMs: 100, waitSeconds: 2, eraseMs: 0, retryMs: 500, patienceMs: 15_000, awakeMs: 3000,
    wakeEveryMs: 0, activation: false,
};

export const describeSpec = (given) => {
    const unknown = Object.keys(given).filter((key) => !(key in DEFAULTS) && !["id", "firmwareIds", "battery", "faults", "asleep", "associations", "parameters"].includes(key));
    if (unknown.length) throw new Error(`a node has no ${unknown.join(", ")}`);
    const spec = { ...DEFAULTS, ...given, faults: { ...given.faults } };
    spec.firmware = [...spec.firmware];
    spec.firmwareIds ??= spec.firmware.map((_, target) => 0x1000 * (target + 1));
    return spec;
};

export const capabilities = (spec) => ({
    manufacturerId: spec.manufacturerId,
    productType: spec.productType,
    productId: spec.productId,
    firmwareVersion: spec.firmware[0],
    isListening: spec.listening === "always",
    isFrequentListening: spec.listening === "frequent" ? "1000ms" : false,
    commandClasses: [
        { ccId: 0x5e, version: 2 },
        { ccId: 0x72, version: 1 },
        { ccId: VERSION, version: spec.firmware[0].split(".").length > 2 ? 3 : 2 },
        { ccId: FIRMWARE_UPDATE, version: spec.ccVersion },
        ...(spec.battery == undefined ? [] : [{ ccId: BATTERY, version: 1 }]),
        ...(spec.listening === "sleeping" ? [{ ccId: WAKE_UP, version: 1 }] : []),
        ...(spec.associations ? [{ ccId: ASSOCIATION, version: 2 }] : []),
        ...(spec.parameters ? [{ ccId: CONFIGURATION, version: 3, parameters: spec.parameters.map(({ number, set, ...rest }) => ({ "#": number, ...rest })) }] : []),
    ],
});

// An image of the rig says near its beginning, behind a header if it has one, which version it makes of the node; any other leaves the version as it was.
const versionIn = (image) => /OTAGATE-RIG ([0-9]+\.[0-9]+(?:\.[0-9]+)?)\n/.exec(image.subarray(0, 80).toString("latin1"))?.[1];

export class SimulatedNode {
    constructor(spec, mock, txDelay) {
        this.spec = spec;
        this.mock = mock;
        this.asleep = spec.listening === "sleeping" && spec.asleep !== false;
        this.away = false;
        this.restarts = 0;
        mock.capabilities.txDelay = txDelay;
        this.associations = new Map(Object.entries(spec.associations ?? {}).map(([group, nodes]) => [Number(group), new Set(nodes)]));
        for (const { number, set } of spec.parameters ?? []) if (set != undefined) mock.state.set(`Configuration_value_${number}`, set);
        this.firmware = new FirmwareReceiver(spec, {
            send: (command, payload) => this.send(FIRMWARE_UPDATE, command, payload),
            restart: (used, ms) => this.restart(used ?? {}, ms),
        });
        mock.defineBehavior({ handleCC: (_controller, _self, cc) => this.handle(cc) });
        this.listen();
        if (spec.wakeEveryMs) setInterval(() => void this.wake(), spec.wakeEveryMs).unref();
    }

    // A radio that is off acknowledges nothing.
    get deaf() {
        return this.asleep || this.away || this.spec.faults.dead === true;
    }

    listen() {
        this.mock.autoAckControllerFrames = !this.deaf;
    }

    async send(ccId, ccCommand, payload) {
        if (this.deaf) return;
        const cc = new CommandClass({ nodeId: this.mock.controller.ownNodeId, ccId, ccCommand, payload: Buffer.from(payload) });
        await this.mock.sendToController(createMockZWaveRequestFrame(cc, { ackRequested: false }));
    }

    handle(cc) {
        if (this.deaf) return { action: "stop" };
        this.stayAwake();
        const payload = Buffer.from(cc.payload);
        switch (cc.ccId) {
            case FIRMWARE_UPDATE:
                void this.firmware.receive(cc.ccCommand, payload);
                return { action: "stop" };
            case VERSION: return this.tellVersion(cc.ccCommand);
            case BATTERY: return this.tellBattery(cc.ccCommand);
            case WAKE_UP: return this.sleepTalk(cc.ccCommand);
            case ASSOCIATION: return this.associate(cc);
            default: return undefined;
        }
    }

    answer(ccId, command, payload, wanted = true) {
        if (wanted) void this.send(ccId, command, payload);
        return { action: "stop" };
    }

    tellVersion(command) {
        const parts = this.spec.firmware.map((version) => version.split(".").map(Number));
        const [main, ...others] = parts;
        if (command === 0x11) {
            return this.answer(VERSION, 0x12, [3, 7, 18, main[0], main[1], this.spec.hardwareVersion, others.length, ...others.flatMap((each) => each.slice(0, 2))]);
        }
        if (command === 0x15) return this.answer(VERSION, 0x16, [main.length > 2 ? 0x07 : 0x03]);
        if (command === 0x17) {
            const application = [main[0], main[1], main[2] ?? 0];
            return this.answer(VERSION, 0x18, [7, 18, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 18, 1, 0, 0, ...application, 0, 1]);
        }
        return undefined;
    }

    // Battery CC; its health is asked for by a driver that has just forgotten which version of it a node has, and it would wait for the answer.
    tellBattery(command) {
        if (command === 0x04) return this.answer(BATTERY, 0x05, [0xff, 0x00]);
        return this.answer(BATTERY, 0x03, [this.spec.battery], command === 0x02);
    }

    // Association CC: Set, Get, Remove, Groupings Get; whoever forgot for good takes nobody any more.
    associate({ ccCommand, groupId, nodeIds }) {
        const members = this.associations.get(groupId);
        if (ccCommand === 0x01 && !this.stubborn) nodeIds.forEach((each) => members?.add(each));
        if (ccCommand === 0x04) nodeIds.forEach((each) => members?.delete(each));
        if (ccCommand === 0x05) return this.answer(ASSOCIATION, 0x06, [this.associations.size]);
        return this.answer(ASSOCIATION, 0x03, [groupId, 5, 0, ...(members ?? [])], ccCommand === 0x02);
    }

    // What new firmware does to settings, where its makers did not think of them.
    forget() {
        for (const members of this.associations.values()) members.clear();
        for (const { number } of this.spec.parameters ?? []) this.mock.state.delete(`Configuration_value_${number}`);
        this.stubborn = this.spec.faults.forgets === "for good";
    }

    sleepTalk(command) {
        if (command === 0x05) return this.answer(WAKE_UP, 0x06, [0, 14, 16, this.mock.controller.ownNodeId]);
        if (command === 0x09) return this.answer(WAKE_UP, 0x0a, [0, 0, 60, 1, 81, 128, 0, 14, 16, 0, 0, 60]);
        if (command === 0x08) this.sleep();
        return { action: "stop" };
    }

    async wake() {
        if (this.spec.listening !== "sleeping") return;
        this.asleep = false;
        this.listen();
        this.stayAwake();
        await this.send(WAKE_UP, 0x07, []);
    }

    stayAwake() {
        if (this.spec.listening !== "sleeping") return;
        clearTimeout(this.drowsy);
        this.drowsy = setTimeout(() => this.sleep(), this.spec.awakeMs);
    }

    sleep() {
        clearTimeout(this.drowsy);
        this.asleep = this.spec.listening === "sleeping";
        this.listen();
    }

    restart({ target, image }, ms) {
        const { faults } = this.spec;
        this.restarts++;
        this.away = ms > 0;
        this.listen();
        if (faults.brick) return;
        setTimeout(() => {
            const version = image && (faults.wrongVersion ?? (faults.keepVersion ? undefined : versionIn(image)));
            if (version) this.spec.firmware[target] = version;
            if (version && faults.forgets) this.forget();
            this.away = false;
            this.listen();
            if (faults.dozes) this.sleep();
            else this.stayAwake();
        }, faults.awayMs ?? ms);
    }

    describe() {
        const { firmware } = this;
        return {
            id: this.spec.id, firmware: this.spec.firmware, asleep: this.asleep, away: this.away, restarts: this.restarts, staged: firmware.staged != undefined,
            receiving: firmware.transfer ? { target: firmware.transfer.target, bytes: firmware.transfer.length } : null,
            associations: Object.fromEntries([...this.associations].map(([group, nodes]) => [group, [...nodes]])),
            parameters: Object.fromEntries((this.spec.parameters ?? []).map(({ number, defaultValue }) =>
                [number, this.mock.state.get(`Configuration_value_${number}`) ?? defaultValue])),
            received: firmware.received, lastedMs: firmware.lastedMs, counters: firmware.counters, violations: firmware.violations,
        };
    }
}
