/** Records without signatures: the bytes of each are known to be its owner's by the object that they are. */
import {
  type CatalogueEntry,
  type NodeEntry,
  nodeEntry,
  type SettingEntry,
  settingEntry
} from "../../mesh/catalogue/RecordEntry.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import type { Setting } from "../../model/Setting.ts"
import { catalogueTopic, type Message } from "./Message.ts"

export class Records {
  /** Every version that was ever told, by owner, epoch and version. */
  readonly told = new Map<string, string>()
  /** Versions that were told twice with different content. */
  readonly reused: Array<string> = []
  readonly #entries = new WeakMap<Uint8Array, CatalogueEntry>()
  readonly #messages = new WeakMap<Uint8Array, Message>()
  readonly #make: (bytes: Uint8Array) => Message
  readonly #size: number

  /** `size`: bytes of an envelope. */
  constructor(size: number, make: (topic: typeof catalogueTopic, bytes: Uint8Array) => Message) {
    this.#size = size
    this.#make = (bytes) => make(catalogueTopic, bytes)
  }

  seal(record: NodeRecord): NodeEntry {
    const content = JSON.stringify(record)
    const bytes = new Uint8Array(this.#size)
    // Only so much as tells envelopes apart has to be in it.
    Buffer.from(content).copy(bytes, 0, 0, this.#size)
    const entry = nodeEntry(record, [], bytes)
    this.#entries.set(bytes, entry)
    const version = `${record.peer} ${record.epoch}.${record.version}`
    const what = JSON.stringify({ ...record, signedAt: 0 })
    if ((this.told.get(version) ?? what) !== what) this.reused.push(version)
    this.told.set(version, what)
    return entry
  }

  sealSetting(setting: Setting): SettingEntry {
    const bytes = new Uint8Array(this.#size)
    Buffer.from(JSON.stringify(setting)).copy(bytes, 0, 0, this.#size)
    const entry = settingEntry(setting, bytes)
    this.#entries.set(bytes, entry)
    return entry
  }

  open(bytes: Uint8Array): CatalogueEntry {
    const entry = this.#entries.get(bytes)
    if (entry === undefined) throw new Error("a record that nobody in this mesh has made")
    return entry
  }

  message(bytes: Uint8Array): Message {
    const known = this.#messages.get(bytes)
    if (known !== undefined) return known
    const message = this.#make(bytes)
    this.#messages.set(bytes, message)
    return message
  }
}
