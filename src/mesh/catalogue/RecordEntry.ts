/**
 * One line of the catalogue: a signed record as it travelled, with what the merge needs of it.
 *
 * Keys name the kind and who writes it (`node/<peer>`), so other kinds of record can stand beside the
 * nodes' own: they need a key, an order (epoch, version; a hybrid logical clock is such a pair)
 * and an end. Mesh-wide settings stand here (`setting/<peer>/<kind>.<name>`, model/Setting.ts), and those
 * of newer nodes, unread (FurtherRecord.ts).
 */
import { createHash } from "node:crypto"
import { isPeerKey, type PeerKey, type ServiceName } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { type Setting, settingKey } from "../../model/Setting.ts"

/** Buckets of the digest; one byte of a key's hash says which. */
export const bucketCount = 256

/** Bytes of every hash in the digest: enough against accidents and against a member's malice. */
export const hashLength = 16

const hour = 3_600_000

/** How long records are kept, in milliseconds after they were signed. */
export const lifetimes = {
  /** Owners sign anew every few hours: one this old has been gone since long before. */
  record: 72 * hour,
  /** What an ephemeral node says of its own: above all that clocks may differ by, and the time to its next one. */
  ephemeral: hour / 2,
  /** A tombstone outlives every record it stands against, wherever that was hidden. */
  tombstone: (72 + 48) * hour
} as const

export interface EntryHead {
  readonly key: string
  readonly bucket: number
  readonly epoch: number
  readonly version: number
  /** First 16 bytes of SHA-256 over `bytes`. */
  readonly hash: Uint8Array
  /** The envelope as its owner signed it. */
  readonly bytes: Uint8Array
  /** Wall clock of its signer, ms. */
  readonly signedAt: number
  /** Wall clock, ms: not kept from then on. */
  readonly expiresAt: number
}

export interface NodeEntry extends EntryHead {
  readonly kind: "node"
  /** Without the services that its certificate does not grant. */
  readonly record: NodeRecord
  /** Those services: named in the record, not granted by the certificate. */
  readonly withheld: ReadonlyArray<ServiceName>
}

/** Of a kind that this version does not know: for other nodes. */
export interface FurtherEntry extends EntryHead {
  readonly kind: "further"
  readonly signer: PeerKey
}

/** A mesh-wide setting. Time does not end it by itself (SettingReader.ts). */
export interface SettingEntry extends EntryHead {
  readonly kind: "setting"
  readonly signer: PeerKey
  readonly setting: Setting
}

export type CatalogueEntry = NodeEntry | SettingEntry | FurtherEntry

export const shortHash = (bytes: Uint8Array): Uint8Array =>
  // A copy, so that a slice does not keep the whole digest alive.
  new Uint8Array(createHash("sha256").update(bytes).digest().subarray(0, hashLength))

export const nodeKey = (peer: PeerKey): string => `node/${peer}`

/** Could this node read the record? A newer one may know kinds that we do not. */
export const isKnownKind = (key: string): boolean => key.startsWith("node/")

/** Of those that nodes from before there were settings know as a further kind. */
const settingPrefix = "setting/"
export const isSettingKey = (key: string): boolean => key.startsWith(settingPrefix)

/** Can there be a setting in it? Asked of every envelope before anything is verified. */
export const mayBeSetting = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(settingPrefix)

const furtherKey = /^[a-z][a-z0-9-]{0,31}\/([^/]+)(?:\/[^\0]{1,128})?$/

/** Who signs a record of a further kind, by its key; undefined: it is no such key. */
export const signerIn = (key: string): PeerKey | undefined => {
  if (isKnownKind(key)) return undefined
  const signer = furtherKey.exec(key)?.[1]
  return signer !== undefined && isPeerKey(signer) ? signer : undefined
}

export const bucketOf = (key: string): number => createHash("sha256").update(key).digest()[0]!

// Received bytes are a view into a larger chunk, which a kept record must not keep.
const ownCopy = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)

/** Its key is one (`signerIn`). */
export const furtherEntry = (
  head: Pick<EntryHead, "key" | "epoch" | "version" | "signedAt">,
  bytes: Uint8Array
): FurtherEntry => {
  const { key, epoch, version, signedAt } = head
  const signer = signerIn(key)
  if (signer === undefined) throw new Error(`not the key of a further record: ${key}`)
  return {
    ...{ kind: "further", signer, key, bucket: bucketOf(key), epoch, version, signedAt },
    ...{ hash: shortHash(bytes), bytes: ownCopy(bytes), expiresAt: signedAt + lifetimes.record }
  }
}

export const settingEntry = (setting: Setting, bytes: Uint8Array): SettingEntry => {
  const { signer, epoch, version, signedAt } = setting
  const key = settingKey(setting)
  return {
    ...{ kind: "setting", signer, setting, key, bucket: bucketOf(key), epoch, version, signedAt },
    ...{ hash: shortHash(bytes), bytes: ownCopy(bytes), expiresAt: Number.POSITIVE_INFINITY }
  }
}

export const nodeEntry = (
  record: NodeRecord,
  withheld: ReadonlyArray<ServiceName>,
  bytes: Uint8Array
): NodeEntry => {
  const key = nodeKey(record.peer)
  const life = record.state === "left" ? lifetimes.tombstone : (record.lifetime ?? lifetimes.record)
  return {
    kind: "node",
    key,
    bucket: bucketOf(key),
    epoch: record.epoch,
    version: record.version,
    hash: shortHash(bytes),
    bytes: ownCopy(bytes),
    signedAt: record.signedAt,
    expiresAt: record.signedAt + life,
    record,
    withheld
  }
}

/** A record that is said to be over says so of all before it. */
export const isUpTo = (
  record: Pick<EntryHead, "epoch" | "version">,
  mark: Pick<EntryHead, "epoch" | "version">
): boolean =>
  record.epoch < mark.epoch || (record.epoch === mark.epoch && record.version <= mark.version)

export type EntryOrder = Pick<EntryHead, "epoch" | "version" | "hash">

/**
 * Positive when `a` wins over `b`. A total order over (epoch, version, hash): an owner that signs
 * two things under one version (two nodes with one key) still leaves every catalogue with the
 * same one. Taking the maximum of a total order is what makes the merge commutative, associative
 * and idempotent.
 */
export const compareEntries = (a: EntryOrder, b: EntryOrder): number => {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch
  if (a.version !== b.version) return a.version - b.version
  return Buffer.compare(a.hash, b.hash)
}
