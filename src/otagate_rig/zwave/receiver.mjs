// The receiving side of the Firmware Update Meta Data Command Class (0x7A, versions 1 to 8), on bytes, from its specification.
//
// It knows nothing of zwave-js: commands go in as (command, payload), answers come out through `send(command, payload)`. Every protocol violation
// of the sender is written down. `faults` are the ways in which real nodes misbehave; each can be changed while the node lives.

import { createHash } from "node:crypto";

const META_DATA_GET = 0x01, META_DATA_REPORT = 0x02, REQUEST_GET = 0x03, REQUEST_REPORT = 0x04, GET = 0x05, REPORT = 0x06, STATUS_REPORT = 0x07;
const ACTIVATION_SET = 0x08, ACTIVATION_REPORT = 0x09, PREPARE_GET = 0x0a, PREPARE_REPORT = 0x0b;

const OK = 255, WAITING_FOR_ACTIVATION = 253, CHECKSUM_ERROR = 0, UNABLE_TO_RECEIVE = 1;
const REFUSED = { ids: 0, authentication: 1, fragmentSize: 2, notUpgradable: 3, hardware: 4, inProgress: 5, battery: 6 };

export function crc16(bytes, crc = 0x1d0f) {
    for (const byte of bytes) {
        crc ^= byte << 8;
        for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
    }
    return crc;
}

const word = (value) => [(value >> 8) & 0xff, value & 0xff];

export class FirmwareReceiver {
    // `restart(target, image, seconds)`: the node uses an image now. `send` gives a promise; what it rejects with is the air's affair.
    constructor(spec, { send, restart }) {
        this.spec = spec;
        this.faults = spec.faults ?? {};
        this.send = send;
        this.restart = restart;
        this.violations = [];
        this.counters = { requests: 0, fragments: 0, repeated: 0, dropped: 0, completed: 0, aborted: 0, activations: 0 };
        this.received = {}; // target -> sha256 and length of the last whole image
        this.lastedMs = null; // from the request to the last fragment of that image
        this.watchers = [];
        this.questioned = new Promise((resolve) => (this.question = resolve)); // somebody has asked for its metadata
        this.forget();
    }

    forget() {
        clearTimeout(this.timer);
        this.transfer = undefined;
        this.staged = undefined;
    }

    // Resolves when so much of the image that is on its way has arrived.
    reached(bytes) {
        return new Promise((resolve) => {
            this.watchers.push({ bytes, resolve });
            this.tell();
        });
    }

    tell() {
        const got = this.transfer?.length ?? 0;
        this.watchers = this.watchers.filter(({ bytes, resolve }) => got < bytes || (resolve(), false));
    }

    violate(text) {
        if (this.violations.length < 100) this.violations.push(text);
    }

    receive(command, payload) {
        switch (command) {
            case META_DATA_GET: return this.tellMetaData();
            case REQUEST_GET: return this.begin(payload);
            case REPORT: return this.take(payload);
            case ACTIVATION_SET: return this.activate(payload);
            case PREPARE_GET: return this.send(PREPARE_REPORT, [3, 0, 0]);
            default: this.violate(`command 0x${command.toString(16)} is for the other side`);
        }
    }

    // Each version of the report is exactly as long as its version says.
    tellMetaData() {
        this.question();
        const { manufacturerId, firmwareIds, ccVersion, hardwareVersion } = this.spec;
        const report = [...word(manufacturerId), ...word(firmwareIds[0]), 0, 0];
        if (ccVersion >= 3) {
            report.push(this.faults.notUpgradable ? 0 : 0xff, firmwareIds.length - 1, ...word(this.spec.maxFragment));
            for (const id of firmwareIds.slice(1)) report.push(...word(id));
        }
        if (ccVersion >= 5) report.push(hardwareVersion);
        if (ccVersion >= 6) report.push(0x01 | (ccVersion >= 7 && this.spec.activation ? 0x02 : 0));
        return this.send(META_DATA_REPORT, report);
    }

    refusal(request) {
        const { ccVersion, firmwareIds, hardwareVersion } = this.spec;
        if (this.faults.refuse != undefined && (this.faults.refuseTimes ?? Infinity) > 0) {
            if (this.faults.refuseTimes != undefined) this.faults.refuseTimes--;
            return this.faults.refuse;
        }
        if (this.transfer) return REFUSED.inProgress;
        if (request.target >= firmwareIds.length || request.manufacturerId !== this.spec.manufacturerId) return REFUSED.ids;
        if (request.firmwareId !== firmwareIds[request.target]) return REFUSED.ids;
        if (ccVersion >= 3 && request.fragmentSize > this.spec.maxFragment) return REFUSED.fragmentSize;
        if (ccVersion >= 5 && request.hardwareVersion !== hardwareVersion) return REFUSED.hardware;
        if (this.spec.battery != undefined && this.spec.battery < this.spec.batteryMinimum) return REFUSED.battery;
    }

    begin(payload) {
        this.counters.requests++;
        if (this.faults.silentRequest) return;
        const request = {
            manufacturerId: payload.readUInt16BE(0),
            firmwareId: payload.readUInt16BE(2),
            checksum: payload.readUInt16BE(4),
            target: this.spec.ccVersion >= 3 ? payload[6] : 0,
            fragmentSize: this.spec.ccVersion >= 3 ? payload.readUInt16BE(7) : undefined,
            hardwareVersion: this.spec.ccVersion >= 5 ? payload[10] : undefined,
        };
        const refused = this.refusal(request);
        const report = (status) => this.send(REQUEST_REPORT, this.spec.ccVersion >= 8 ? [status, 0] : [status]);
        if (refused != undefined) return report(refused);
        this.staged = undefined;
        this.transfer = { ...request, chunks: [], length: 0, next: 1, asked: 0, began: performance.now(), heard: Date.now() };
        const sent = report(OK);
        setTimeout(() => this.ask(), this.spec.eraseMs);
        return sent;
    }

    ask() {
        const transfer = this.transfer;
        if (!transfer) return;
        clearTimeout(this.timer);
        if (Date.now() - transfer.heard > this.spec.patienceMs) return this.fail(UNABLE_TO_RECEIVE);
        this.timer = setTimeout(() => this.ask(), this.spec.retryMs);
        const first = transfer.next >= (this.faults.outOfBoundsAt ?? Infinity) ? 0x7ff0 : transfer.next;
        transfer.asked = transfer.next + this.spec.reportsPerGet - 1;
        void this.send(GET, [this.spec.reportsPerGet, ...word(first)]);
    }

    take(payload) {
        const checked = this.spec.ccVersion >= 2;
        const number = payload.readUInt16BE(0) & 0x7fff, last = (payload[0] & 0x80) !== 0;
        const data = payload.subarray(2, checked ? payload.length - 2 : undefined);
        const transfer = this.transfer;
        if (!transfer) return;
        if (checked && crc16([0x7a, REPORT, ...payload.subarray(0, -2)]) !== payload.readUInt16BE(payload.length - 2)) {
            return this.violate(`fragment ${number}: wrong checksum`);
        }
        this.counters.fragments++;
        if (this.mishap(number, last)) return;
        if (number < transfer.next) {
            this.counters.repeated++;
            return;
        }
        // A sender that gives up marks a fragment in the middle as the last one: the image is then not what was announced.
        if (number > transfer.asked) this.violate(`fragment ${number} was not asked for`);
        if (number !== transfer.next) return;
        if (!last && transfer.fragmentSize != undefined && data.length !== transfer.fragmentSize) {
            this.violate(`fragment ${number} has ${data.length} bytes, ${transfer.fragmentSize} were announced`);
        }
        transfer.chunks.push(Buffer.from(data));
        transfer.length += data.length;
        transfer.next++;
        transfer.heard = Date.now();
        this.tell();
        if (last) return this.end();
        if (this.faultAt(transfer)) return;
        if (number === transfer.asked || this.faults.impatient) this.ask();
    }

    // What the node's own radio does to single fragments after their acknowledgement; true where the fragment is lost. zwave-js answers no request
    // after the last fragment, so a node that loses that one loses the update: a fault of its own.
    mishap(number, last) {
        const count = this.counters.fragments;
        if (last ? this.faults.dropLast : this.faults.dropEvery && count % this.faults.dropEvery === 0) {
            this.counters.dropped++;
            return true;
        }
        if (this.faults.repeatEvery && count % this.faults.repeatEvery === 0 && number === this.transfer.next && number > 1) {
            void this.send(GET, [1, ...word(number - 1)]);
        }
        return false;
    }

    faultAt(transfer) {
        const { stopAt, cutAt, errorAt, errorStatus, pauseAt } = this.faults;
        if (stopAt && transfer.length >= stopAt) return clearTimeout(this.timer), (this.transfer = undefined), true;
        if (errorAt && transfer.length >= errorAt) return this.fail(errorStatus ?? UNABLE_TO_RECEIVE), true;
        if (cutAt && transfer.length >= cutAt) {
            delete this.faults.cutAt;
            this.forget();
            this.restart({}, this.spec.restartMs);
            return true;
        }
        if (pauseAt && transfer.length >= pauseAt) {
            delete this.faults.pauseAt;
            clearTimeout(this.timer);
            this.timer = setTimeout(() => this.ask(), this.faults.pauseMs ?? 1000);
            return true;
        }
        return false;
    }

    status(status, seconds) {
        const wait = this.spec.ccVersion >= 3 && seconds != undefined ? word(seconds) : [];
        return this.send(STATUS_REPORT, [status, ...wait]);
    }

    fail(status) {
        clearTimeout(this.timer);
        this.transfer = undefined;
        this.counters.aborted++;
        return this.status(status);
    }

    end() {
        clearTimeout(this.timer);
        const { target, checksum, chunks, began } = this.transfer;
        const image = Buffer.concat(chunks);
        if (crc16(image) !== checksum) return this.fail(this.faults.abortStatus ?? (this.faults.checksumError ? CHECKSUM_ERROR : UNABLE_TO_RECEIVE));
        if (this.faults.endStatus != undefined && this.faults.endStatus < WAITING_FOR_ACTIVATION) return this.fail(this.faults.endStatus);
        this.transfer = undefined;
        this.counters.completed++;
        this.lastedMs = performance.now() - began;
        this.received[target] = { sha256: createHash("sha256").update(image).digest("hex"), bytes: image.length };
        if (this.faults.noEndStatus) return;
        if (this.spec.activation) {
            this.staged = { target, image, checksum };
            return this.status(WAITING_FOR_ACTIVATION);
        }
        const status = this.faults.endStatus ?? OK;
        const sent = this.status(status, this.spec.waitSeconds);
        this.restart({ target, image }, status === OK ? this.spec.restartMs : 0);
        return sent;
    }

    activate(payload) {
        this.counters.activations++;
        const target = payload[6], staged = this.staged;
        const fits = staged && target === staged.target && payload.readUInt16BE(4) === staged.checksum && payload.readUInt16BE(2) === this.spec.firmwareIds[target];
        const status = this.faults.activationStatus ?? (fits ? OK : 0);
        const tail = this.spec.ccVersion >= 5 ? [this.spec.hardwareVersion] : [];
        const sent = this.send(ACTIVATION_REPORT, [...payload.subarray(0, 7), status, ...tail]);
        if (status === OK) {
            this.staged = undefined;
            this.restart(staged, this.spec.restartMs);
        }
        return sent;
    }
}
