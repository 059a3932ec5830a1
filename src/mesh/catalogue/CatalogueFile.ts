/**
 * All of the catalogue as bytes on disk: a line that names the format, the SHA-256 of the rest, then each
 * envelope after its length (u32, big-endian). The checksum tells a torn or rotten file from a
 * good one; whether a record is genuine is the door's business, here as everywhere.
 */
import { createHash } from "node:crypto"
import { Either } from "effect"

const magic = Buffer.from("skein catalogue 1\n")
const checksumLength = 32
const headLength = magic.length + checksumLength

/** Bytes of the id by which a log names the snapshot that it goes on from. */
export const idLength = 16

/** Of a whole file: the beginning of its checksum. */
export const snapshotId = (file: Uint8Array): Uint8Array =>
  file.slice(magic.length, magic.length + idLength)

const checksum = (body: Uint8Array): Uint8Array => createHash("sha256").update(body).digest()

export const encodeCatalogueFile = (envelopes: Iterable<Uint8Array>): Uint8Array => {
  const parts: Array<Uint8Array> = []
  for (const envelope of envelopes) {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(envelope.length)
    parts.push(length, envelope)
  }
  const body = Buffer.concat(parts)
  return Buffer.concat([magic, checksum(body), body])
}

/** The envelopes, or what is wrong with the file, for people. */
export const decodeCatalogueFile = (
  file: Uint8Array
): Either.Either<ReadonlyArray<Uint8Array>, string> => {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  if (bytes.length < headLength || !bytes.subarray(0, magic.length).equals(magic)) {
    return Either.left("it is not a catalogue of this version")
  }
  const body = bytes.subarray(headLength)
  if (!bytes.subarray(magic.length, headLength).equals(checksum(body))) {
    return Either.left("its checksum does not match its content")
  }
  const envelopes: Array<Uint8Array> = []
  let at = 0
  while (at < body.length) {
    if (body.length - at < 4) return Either.left("it ends within a length")
    const end = at + 4 + body.readUInt32BE(at)
    if (end > body.length) return Either.left("it ends within a record")
    // A copy each: a record that is kept must not keep the whole file in memory.
    envelopes.push(new Uint8Array(body.subarray(at + 4, end)))
    at = end
  }
  return Either.right(envelopes)
}
