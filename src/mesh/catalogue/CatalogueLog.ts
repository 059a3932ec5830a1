/**
 * What changed since the snapshot beside it, as bytes on disk: a line that names the format, the id of
 * that snapshot, then entries, each after its length (u32, big-endian) and a checksum. A checksum
 * covers the one before it, so an entry counts only where it was written: what is read is what was
 * appended first, up to whatever is torn or rotten, and never anything else.
 */
import { createHash } from "node:crypto"
import { Either } from "effect"
import { idLength } from "./CatalogueFile.ts"

export type StoredChange =
  /** An envelope that is new, or newer than the one of its key before. */
  | { readonly _tag: "Kept"; readonly bytes: Uint8Array }
  /** A key that is not in the catalogue any more. */
  | { readonly _tag: "Gone"; readonly key: string }

const magic = Buffer.from("skein catalogue log 1\n")
const headLength = magic.length + idLength
const lengthBytes = 4
const checksumBytes = 8
const [kept, gone] = [1, 2]

/** Where a log ends, which the next entry goes on from. */
export interface LogEnd {
  /** Bytes. */
  readonly length: number
  readonly checksum: Uint8Array
}

/** The log of a snapshot, before its first entry. */
export const logHead = (snapshot: Uint8Array): LogEnd & { readonly bytes: Uint8Array } => {
  const bytes = Buffer.concat([magic, snapshot])
  return { bytes, length: bytes.length, checksum: checksumOf(new Uint8Array(), bytes) }
}

const checksumOf = (before: Uint8Array, bytes: Uint8Array): Uint8Array =>
  createHash("sha256").update(before).update(bytes).digest().subarray(0, checksumBytes)

const bodyOf = (change: StoredChange): Uint8Array =>
  change._tag === "Kept"
    ? Buffer.concat([Buffer.from([kept]), change.bytes])
    : Buffer.concat([Buffer.from([gone]), Buffer.from(change.key)])

/** The bytes to append, and where the log ends then. */
export const encodeLogEntries = (
  end: LogEnd,
  changes: ReadonlyArray<StoredChange>
): LogEnd & { readonly bytes: Uint8Array } => {
  let checksum = end.checksum
  const parts: Array<Uint8Array> = []
  for (const change of changes) {
    const body = bodyOf(change)
    const length = Buffer.alloc(lengthBytes)
    length.writeUInt32BE(body.length)
    checksum = checksumOf(checksum, Buffer.concat([length, body]))
    parts.push(length, checksum, body)
  }
  const bytes = Buffer.concat(parts)
  return { bytes, length: end.length + bytes.length, checksum }
}

export interface ReadLog {
  /** Of the snapshot that it goes on from. */
  readonly snapshot: Uint8Array
  readonly changes: ReadonlyArray<StoredChange>
  /** Of what was read. */
  readonly end: LogEnd
  /** Why the rest of the file was not, for people; undefined: there is no rest. */
  readonly problem: string | undefined
}

/** As far as it can be read; or what is wrong with all of it, for people. */
export const decodeCatalogueLog = (file: Uint8Array): Either.Either<ReadLog, string> => {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  if (!bytes.subarray(0, magic.length).equals(magic)) {
    return Either.left("it is not a log of this version")
  }
  if (bytes.length < headLength) return Either.left("it ends within its head")
  const snapshot = new Uint8Array(bytes.subarray(magic.length, headLength))
  let { length: at, checksum } = logHead(snapshot)
  const changes: Array<StoredChange> = []
  const read = (problem: string | undefined) =>
    Either.right({ snapshot, changes, end: { length: at, checksum }, problem })
  while (at < bytes.length) {
    const bodyAt = at + lengthBytes + checksumBytes
    if (bodyAt > bytes.length) return read("it ends within an entry")
    const length = bytes.subarray(at, at + lengthBytes)
    const end = bodyAt + length.readUInt32BE()
    if (end > bytes.length) return read("it ends within an entry")
    const body = bytes.subarray(bodyAt, end)
    const expected = checksumOf(checksum, Buffer.concat([length, body]))
    if (!bytes.subarray(at + lengthBytes, bodyAt).equals(expected)) {
      return read("the checksum of an entry does not match its content")
    }
    const change = changeIn(body)
    if (change === undefined) return read("it has an entry of an unknown kind")
    changes.push(change)
    checksum = expected
    at = end
  }
  return read(undefined)
}

const changeIn = (body: Buffer): StoredChange | undefined => {
  const content = body.subarray(1)
  switch (body[0]) {
    case kept:
      // A copy: a record that is kept must not keep the whole file in memory.
      return { _tag: "Kept", bytes: new Uint8Array(content) }
    case gone:
      return { _tag: "Gone", key: content.toString() }
    default:
      return undefined
  }
}
